package noderig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a started program.
type Process struct {
	cmd   *exec.Cmd
	done  chan struct{}
	ready bool // it has begun its work, and handles signals
}

const (
	// readyTimeout is how long a program may take to get ready.
	readyTimeout = 2 * time.Minute
	// stopTimeout is how long it may take to end on SIGTERM.
	stopTimeout = 15 * time.Second
)

// start starts cmd in a process group of its own, so that Ctrl-C does not
// reach it, to die with this process.
func start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends, so it must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // its state tells
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Kill ends it by SIGKILL, if it has not ended.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Stop ends it by SIGTERM. One that does not end so is an error, and so is one
// that was ready and ends with a status other than 0. One that has ended
// before is not.
func (p *Process) Stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("%s does not end on SIGTERM", p.cmd.Path)
	}
	if p.ready && !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %s", p.cmd.Path, p.cmd.ProcessState)
	}
	return nil
}

// untilReady waits for what shows that the process works. It must not end
// meanwhile.
func (p *Process) untilReady(ctx context.Context, what string, is func() bool) error {
	deadline := time.After(readyTimeout)
	for !is() {
		select {
		case <-p.done:
			return fmt.Errorf("waiting until %s: it ended (%s)", what, p.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("not within %s: %s", readyTimeout, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.ready = true
	return nil
}
