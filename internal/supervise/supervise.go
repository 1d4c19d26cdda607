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

	"golang.org/x/sys/unix"
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
// with success or ctx is done. Each time it gets the files, from descriptor 3
// on, and env besides the environment. SIGTERM, SIGINT and SIGHUP are passed
// on; after one of the first two the program's end is Run's.
func Run(ctx context.Context, argv, env []string, files []*os.File, log *slog.Logger) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	// What a program leaves behind when it is killed comes here, also when this
	// is no container's first process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_CHILD_SUBREAPER: %w", err)
	}
	pause := first
	for {
		began := time.Now()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env, cmd.ExtraFiles = append(os.Environ(), env...), files
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		err, told := once(ctx, cmd, signals)
		if err == nil || told {
			return err
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
func once(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal) (err error, told bool) {
	if err := cmd.Start(); err != nil {
		return err, false
	}
	defer cmd.Process.Release()
	ended := make(chan error, 1)
	go func() { ended <- wait(cmd.Process.Pid) }()
	stop := ctx.Done()
	for {
		select {
		case err := <-ended:
			return err, told
		case <-stop:
			told, stop = true, nil
			_ = cmd.Process.Kill()
		case s := <-signals:
			told = told || s != syscall.SIGHUP
			_ = cmd.Process.Signal(s) // it may have ended just now
		}
	}
}

// wait waits for the program's end, and buries on the way what earlier ones
// have left.
func wait(program int) error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR) || err == nil && pid != program:
		case err != nil:
			return fmt.Errorf("wait4: %w", err)
		case status.Signaled():
			return &ErrExited{128 + int(status.Signal())}
		case status.ExitStatus() != 0:
			return &ErrExited{status.ExitStatus()}
		default:
			return nil
		}
	}
}
