// Package dangv2 refuses modules written in Dang v2: the language's own module is not published.
package dangv2

import (
	"context"
	"errors"

	"github.com/dagger/dagger/core"
	"github.com/dagger/dagger/dagql"
)

var errNoDang = errors.New("this engine was built without the Dang v2 SDK")

// Impl is the Dang v2 SDK of this engine.
type Impl struct{}

// ModuleTypes refuses.
func (Impl) ModuleTypes(
	context.Context,
	*core.SchemaBuilder,
	dagql.ObjectResult[*core.ModuleSource],
	dagql.ObjectResult[*core.Module],
) (inst dagql.ObjectResult[*core.Module], err error) {
	return inst, errNoDang
}

// Runtime refuses.
func (Impl) Runtime(
	context.Context,
	*core.SchemaBuilder,
	dagql.ObjectResult[*core.ModuleSource],
) (core.ModuleRuntime, error) {
	return nil, errNoDang
}
