package run

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// runCommand runs the command in its cgroup, passes signals on to it, and
// returns its exit code.
func runCommand(ctx context.Context, signals <-chan os.Signal, o Options, path, cgroup string) (int, error) {
	cmd := &exec.Cmd{
		Path: path, Args: o.Command, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if err := inCgroup(cmd, cgroup); err != nil {
		if errors.Is(err, os.ErrPermission) {
			return 126, err
		}
		return 127, err
	}
	done := make(chan struct{})
	go func() {
		cmd.Wait() // its state tells
		close(done)
	}()
	for {
		select {
		case <-done:
			return exitCode(cmd.ProcessState), nil
		case <-ctx.Done():
			cmd.Process.Signal(syscall.SIGTERM) // may have ended
			ctx = context.Background()
		case sig := <-signals:
			if !fromTerminal(sig) {
				cmd.Process.Signal(sig)
			}
		}
	}
}

// fromTerminal guesses that the terminal sent the signal to the command, too:
// they are in its foreground process group together.
func fromTerminal(sig os.Signal) bool {
	if sig == syscall.SIGTERM || sig == syscall.SIGHUP {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	foreground, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}

func exitCode(s *os.ProcessState) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return s.ExitCode()
}
