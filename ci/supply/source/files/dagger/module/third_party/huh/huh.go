// Package huh has the one name of the forms library that the engine's prompt interface mentions.
//
// The library itself would make every program that is built with it ask the terminal for its colours when it starts.
package huh

// Form is a form on the terminal; this build shows none.
type Form struct{}
