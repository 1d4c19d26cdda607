package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// A program that has lived for stable is started again at once. One that ends
// sooner is after a pause, which doubles from first up to longest.
const (
	stable  = 2 * time.Second
	first   = 50 * time.Millisecond
	longest = 5 * time.Second
)

// ErrExited says with which code the program ended by itself, or after it was
// told to.
type ErrExited struct{ Code int }

func (e *ErrExited) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// Run starts argv, again and again when it is killed or fails, until it ends
// with success or ctx is done. SIGTERM, SIGINT and SIGHUP are passed on; after
// one of the first two the program's end is Run's.
func Run(ctx context.Context, argv []string, log *slog.Logger) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	pause := first
	for {
		began := time.Now()
		err, told := once(ctx, argv, signals)
		if err == nil || told {
			return exit(err)
		}
		lived := time.Since(began)
		if lived > stable {
			pause = 0
		}
		log.Error("the program has ended; it is started again", "program", argv[0], "error", err, "lived", lived, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-signals:
			if s != syscall.SIGHUP {
				return nil // nothing runs that could be told
			}
		case <-time.After(pause):
		}
		pause = min(max(first, 2*pause), longest)
	}
}

// once runs the program to its end. told is true if it was told to end.
func once(ctx context.Context, argv []string, signals <-chan os.Signal) (err error, told bool) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err, false
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return err, told || ctx.Err() != nil
		case s := <-signals:
			told = told || s != syscall.SIGHUP
			_ = cmd.Process.Signal(s) // it may have ended just now
		}
	}
}

func exit(err error) error {
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return err
	}
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &ErrExited{128 + int(status.Signal())}
	}
	return &ErrExited{e.ExitCode()}
}
