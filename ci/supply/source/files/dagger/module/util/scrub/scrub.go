// Package scrub takes what changes from run to run out of recorded terminal output.
package scrub

// Stabilize returns out as it is: only replayed model conversations and upstream's own golden files are ever compared,
// and upstream's rules need the terminal interface that this build leaves out.
func Stabilize(out string) string {
	return out
}
