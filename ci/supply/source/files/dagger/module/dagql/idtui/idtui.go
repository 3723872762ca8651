// Package idtui is what the engine itself uses of Dagger's terminal interface.
//
// The interface proper needs a module that is not published. The engine takes from it only what it prints when a
// container's terminal is attached.
package idtui

import (
	"io"

	"github.com/dagger/dagger/dagql/call"
	"github.com/muesli/termenv"
)

// Marks in front of a line.
const (
	DotFilled   = "●"
	IconFailure = "✘"
)

// NewOutput returns a writer that colours text as the terminal allows.
func NewOutput(w io.Writer, opts ...termenv.OutputOption) *termenv.Output {
	return termenv.NewOutput(w, opts...)
}

// Dump writes the call that made an object.
type Dump struct {
	Newline string
	Prefix  string
}

// DumpID writes id on one line.
func (d *Dump) DumpID(out *termenv.Output, id *call.ID) error {
	_, err := out.WriteString(d.Prefix + id.Display() + d.Newline)
	return err
}
