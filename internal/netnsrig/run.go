package netnsrig

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// Do runs fn in the pod's network namespace, but in the caller's cgroup.
func (p *Pod) Do(fn func() error) error { return p.ns.Do(fn) }

// Start starts cmd in the pod's network namespace and cgroup.
func (p *Pod) Start(cmd *exec.Cmd) error {
	cgroup, err := os.Open(p.Cgroup)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = int(cgroup.Fd())
	return p.ns.Do(cmd.Start)
}

// Output runs a command in the pod and returns what it wrote to both outputs.
func (p *Pod) Output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := p.Start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// Listen listens in the pod. addr is a literal address and port.
func (p *Pod) Listen(network, addr string) (l net.Listener, err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // plain TCP, as most programs have
	err = p.ns.Do(func() error {
		l, err = config.Listen(context.Background(), network, addr)
		return err
	})
	return l, err
}

// Dial connects from the pod. addr is a literal address and port.
func (p *Pod) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	var dialer net.Dialer
	err = p.ns.Do(func() error {
		c, err = dialer.DialContext(ctx, network, addr)
		return err
	})
	return c, err
}
