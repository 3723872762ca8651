package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/dagger/dagger/engine/client"
	telemetry "github.com/dagger/otel-go"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
	"golang.org/x/sys/unix"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run [options] <command>...",
		Aliases: []string{"r"},
		Short:   "Run a command in a Dagger session",
		Long: "Runs the command with DAGGER_SESSION_PORT and DAGGER_SESSION_TOKEN set, passes signals on to it\n" +
			"and ends with its exit code.",
		Example: "  dagger run python main.py",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().SetInterspersed(false) // everything from the command's name on belongs to the command
	silent := cmd.Flags().BoolP("silent", "s", false, "show nothing of the engine's work")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *silent {
			return runInSession(cmd.Context(), client.Params{}, args)
		}
		// the engine reports only what belongs to a trace: start one, and hand it on to the command's SDK
		ctx, span := otel.Tracer("dagger.io/cli").Start(telemetry.Init(cmd.Context(), telemetry.Config{}), "dagger run")
		defer span.End()
		return runInSession(ctx, client.Params{EngineTrace: &progress{out: os.Stderr}}, args)
	}
	return cmd
}

func runInSession(ctx context.Context, params client.Params, args []string) (err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	session, err := connectUnlessStopped(ctx, params, signals)
	if err != nil {
		return err
	}
	defer func() {
		// the command's own ending is what the caller must see
		if closeErr := session.Close(); closeErr != nil && err == nil {
			err = closeErr
		}
	}()
	server := http.Server{Handler: session, ReadHeaderTimeout: 30 * time.Second}
	go server.Serve(listener) //nolint:errcheck // ends when the listener closes

	child := exec.Command(args[0], args[1:]...)
	child.Env = append(os.Environ(),
		fmt.Sprintf("DAGGER_SESSION_PORT=%d", listener.Addr().(*net.TCPAddr).Port),
		"DAGGER_SESSION_TOKEN="+session.SecretToken,
	)
	child.Env = append(child.Env, telemetry.PropagationEnv(ctx)...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	return exitOf(runChild(child, signals))
}

// connectUnlessStopped opens the session; a signal meanwhile ends the command as it would end any program.
func connectUnlessStopped(ctx context.Context, params client.Params, signals <-chan os.Signal) (*client.Client, error) {
	type result struct {
		session *client.Client
		err     error
	}
	connected := make(chan result, 1)
	go func() {
		session, err := connect(ctx, params)
		connected <- result{session, err}
	}()
	select {
	case r := <-connected:
		return r.session, r.err
	case s := <-signals:
		return nil, exitError{128 + int(s.(syscall.Signal))}
	}
}

// runChild runs the command in a process group of its own, so that each signal reaches it exactly once: from the
// terminal, whose foreground group it becomes, or from us.
func runChild(child *exec.Cmd, signals <-chan os.Signal) error {
	// the death signal below is tied to the thread that starts the command
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	terminal := int(os.Stdin.Fd())
	if group, err := unix.IoctlGetInt(terminal, unix.TIOCGPGRP); err == nil && group == unix.Getpgrp() {
		child.SysProcAttr.Foreground = true
		child.SysProcAttr.Ctty = terminal
		defer func() {
			signal.Ignore(syscall.SIGTTOU) // or taking the terminal back would stop us
			_ = unix.IoctlSetPointerInt(terminal, unix.TIOCSPGRP, group)
		}()
	}
	if err := child.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = syscall.Kill(-child.Process.Pid, s.(syscall.Signal))
			case <-ended:
				return
			}
		}
	}()
	return child.Wait()
}

// exitOf turns the command's ending into ours, as a shell does.
func exitOf(err error) error {
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		status := failed.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return exitError{128 + int(status.Signal())}
		}
		return exitError{status.ExitStatus()}
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		fmt.Fprintln(os.Stderr, "Error:", err)
		return exitError{127}
	}
	return err
}
