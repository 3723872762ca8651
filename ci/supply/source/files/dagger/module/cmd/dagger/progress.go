package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// shownFrom is how long a step of the engine takes before its end is worth a line.
const shownFrom = time.Second

// progress writes one line for each slow or failed step of the engine.
type progress struct{ out io.Writer }

// ExportSpans gets each step when it starts and again when it ends.
func (p *progress) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, span := range spans {
		if span.EndTime().Before(span.StartTime()) || internal(span) {
			continue
		}
		took := span.EndTime().Sub(span.StartTime())
		mark := "✓"
		if span.Status().Code == codes.Error {
			mark = "✗"
		} else if took < shownFrom {
			continue
		}
		fmt.Fprintf(p.out, "    dagger %s %s %.1f s\n", mark, span.Name(), took.Seconds())
	}
	return nil
}

// Shutdown has nothing to flush.
func (p *progress) Shutdown(context.Context) error { return nil }

// internal tells steps that the engine marks as of no interest to people.
func internal(span sdktrace.ReadOnlySpan) bool {
	for _, attribute := range span.Attributes() {
		switch attribute.Key {
		case "dagger.io/ui.internal", "dagger.io/ui.encapsulated", "dagger.io/ui.passthrough":
			if attribute.Value.AsBool() {
				return true
			}
		}
	}
	return false
}
