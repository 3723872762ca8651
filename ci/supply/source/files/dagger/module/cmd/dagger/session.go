package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dagger/dagger/engine/client"
	enginetel "github.com/dagger/dagger/engine/telemetry"
	"github.com/spf13/cobra"
)

// connectParams is the line an SDK reads from our standard output.
type connectParams struct {
	Port         int    `json:"port"`
	SessionToken string `json:"session_token"`
}

func sessionCommand() *cobra.Command {
	var params client.Params
	var workdir string
	cmd := &cobra.Command{
		Use:    "session",
		Short:  "Serve a session for an SDK until standard input closes",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if workdir != "" {
				if err := os.Chdir(workdir); err != nil {
					return err
				}
			}
			return serveSession(cmd, params)
		},
	}
	labels := enginetel.NewLabelFlag()
	cmd.Flags().Var(&labels, "label", "accepted for the SDKs that pass it; not used")
	cmd.Flags().StringVar(&params.Version, "version", "", "version of the SDK")
	cmd.Flags().StringVar(&workdir, "workdir", "", "folder that relative paths start from")
	cmd.Flags().BoolVar(&params.LoadWorkspaceModules, "load-workspace-modules", false, "load workspace modules")
	return cmd
}

func serveSession(cmd *cobra.Command, params client.Params) (err error) {
	// the program that started us may go away and close our standard output: that must not kill us in mid-shutdown
	signal.Ignore(syscall.SIGPIPE)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()

	session, err := connect(cmd.Context(), params)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-ended
		listener.Close()
	}()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()

	line, err := json.Marshal(connectParams{listener.Addr().(*net.TCPAddr).Port, session.SecretToken})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(os.Stdout, "%s\n", line); err != nil {
		return err
	}
	server := http.Server{Handler: session, ReadHeaderTimeout: 30 * time.Second}
	if err := server.Serve(listener); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
