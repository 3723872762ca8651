// Command dagger runs programs in a Dagger session.
//
// It has the official command's `run`, `session` and `version`, with the same engine client behind them; the terminal
// interface and the module commands are left out.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/dagger/dagger/engine"
	"github.com/dagger/dagger/engine/client"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

const runnerHostEnv = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"

// exitError ends the command with a program's own exit code.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func main() {
	root := &cobra.Command{
		Use:               "dagger",
		Short:             "Run programs in a Dagger session",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(runCommand(), sessionCommand(), versionCommand())
	if err := root.Execute(); err != nil {
		var exit exitError
		if errors.As(err, &exit) {
			os.Exit(exit.code)
		}
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print dagger version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "dagger %s (%s) %s/%s\n", engine.Version, runnerHost(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// runnerHost is the engine to use: the one named in the environment, else a container of this version's image.
func runnerHost() string {
	if host := os.Getenv(runnerHostEnv); host != "" {
		return host
	}
	return fmt.Sprintf("image://%s:%s", engine.EngineImageRepo, engine.Tag)
}

// connect opens a session on the engine. Left to itself, the client deletes every container whose name begins as an
// engine's does, be it another version's that somebody else uses.
func connect(ctx context.Context, params client.Params) (*client.Client, error) {
	params.RunnerHost = runnerHost()
	if os.Getenv(runnerHostEnv) == "" {
		params.RunnerHost += "?cleanup=false"
	}
	params.SecretToken = uuid.NewString()
	return client.Connect(ctx, params)
}
