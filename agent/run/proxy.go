package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// proxy is the running proxy.
type proxy struct {
	cmd *exec.Cmd
	// outbound4 and outbound6 are where it listens; outbound6 is zero when
	// this machine has no IPv6.
	outbound4, outbound6 netip.AddrPort

	ended  chan struct{} // closed when it has ended
	logged chan struct{} // closed when every connection is told of
	stderr io.Writer
	names  atomic.Pointer[names] // of the addresses that it connects to
}

// readyTimeout is how long the proxy may take to listen.
const readyTimeout = 15 * time.Second

// startProxy starts the proxy and waits until it listens.
func startProxy(ctx context.Context, signals <-chan os.Signal, o Options, cgroup string) (*proxy, error) {
	p := &proxy{ended: make(chan struct{}), logged: make(chan struct{}), stderr: o.Stderr}
	args, err := p.args(o)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = o.Stderr, o.Stderr
	p.cmd.ExtraFiles = []*os.File{w} // accessLogFD
	// A process group of its own: Ctrl-C is for the command.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = inCgroup(p.cmd, cgroup)
	w.Close() // or r would never end
	if err != nil {
		r.Close()
		return nil, err
	}
	go p.tell(r)
	go p.wait()
	if err := p.waitReady(ctx, signals); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *proxy) args(o Options) ([]string, error) {
	args := []string{o.Proxy}
	if o.Proxy == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		args = []string{self, "proxy"}
	}
	// Told at once, not after 10 s.
	args = append(args, "--file-flush-interval-msec", "100",
		"--log-level", "error", "--drain-time-s", "1", "--disable-hot-restart")
	ipv6 := hasIPv6()
	port := o.Port
	if o.Bootstrap == "" {
		free, err := freePort(ipv6)
		if err != nil {
			return nil, err
		}
		port = free
	}
	p.outbound4 = netip.AddrPortFrom(loopback4, port)
	if ipv6 {
		p.outbound6 = netip.AddrPortFrom(loopback6, port)
	}
	if o.Bootstrap != "" {
		return append(args, "--config-path", o.Bootstrap), nil
	}
	return append(args, "--config-yaml", passThrough(port, ipv6)), nil
}

func hasIPv6() bool {
	l, err := net.Listen("tcp6", netip.AddrPortFrom(loopback6, 0).String())
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// freePort is a port that is free on the loopback addresses.
func freePort(ipv6 bool) (uint16, error) {
	var errs []error
	for range 10 {
		l4, err := net.Listen("tcp4", netip.AddrPortFrom(loopback4, 0).String())
		if err != nil {
			return 0, err
		}
		port := uint16(l4.Addr().(*net.TCPAddr).Port)
		if !ipv6 {
			l4.Close()
			return port, nil
		}
		l6, err := net.Listen("tcp6", netip.AddrPortFrom(loopback6, port).String())
		l4.Close()
		if err == nil {
			l6.Close()
			return port, nil
		}
		errs = append(errs, err)
	}
	return 0, fmt.Errorf("no free port on both %s and %s: %w", loopback4, loopback6, errors.Join(errs...))
}

func (p *proxy) waitReady(ctx context.Context, signals <-chan os.Signal) error {
	timeout := time.After(readyTimeout)
	for {
		listening, err := listens(p.outbound4.Port())
		if err != nil || listening {
			return err
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the proxy did not start: %s %s", p.cmd.Path, p.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		case sig := <-signals:
			return fmt.Errorf("ended by a signal (%s) before the proxy was ready", sig)
		case <-timeout:
			return fmt.Errorf("the proxy does not listen on %s (the bootstrap must, with the original_dst listener filter; see --port)", p.outbound4)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// listens looks for a listening socket. It does not connect: that would be a
// connection without an original destination, which the proxy would log.
func listens(port uint16) (bool, error) {
	f, err := os.Open("/proc/thread-self/net/tcp")
	if err != nil {
		return false, err
	}
	defer f.Close()
	local := fmt.Sprintf(":%04X", port)
	const listen = "0A" // TCP_LISTEN
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // sl local_address rem_address st …
		if len(fields) > 3 && strings.HasSuffix(fields[1], local) && fields[3] == listen {
			return true, nil
		}
	}
	return false, lines.Err()
}

func (p *proxy) wait() {
	p.cmd.Wait() // its state tells
	close(p.ended)
}

// stop ends the proxy, once it has told of all connections.
func (p *proxy) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(2 * gracePeriod):
		p.cmd.Process.Kill()
		<-p.ended
	}
	<-p.logged
}
