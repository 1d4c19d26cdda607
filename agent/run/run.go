package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/redirect"
)

// Options says what to run, and through what.
type Options struct {
	Command []string
	// Bootstrap is the proxy's configuration file. Empty: one that passes
	// connections through and logs each.
	Bootstrap string
	// Port is where Bootstrap listens on loopback for caught connections, with
	// the original_dst listener filter. Ignored for the generated one.
	Port uint16
	// Proxy is a program that takes Envoy's flags. Empty: this one's proxy
	// subcommand.
	Proxy string
	// Stdin, Stdout and Stderr are the command's. The proxy's messages and the
	// lines about connections go to Stderr, too.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run runs the command and returns its exit code: 128 and the signal's number
// if one ended it, 127 if there is no such command. An error is weir's own.
// When ctx is done the command is ended.
func Run(ctx context.Context, o Options) (code int, err error) {
	path, err := exec.LookPath(o.Command[0])
	if err != nil {
		return 127, err
	}
	// Children die with this thread (Pdeathsig), so it must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// From here on a signal must not end this process before it has cleaned up.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	groups, err := makeCgroups()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, groups.remove()) }()

	proxy, err := startProxy(ctx, signals, o, groups.proxy)
	if err != nil {
		return 1, err
	}
	defer proxy.stop()

	caught, err := catch(groups, proxy.outbound4, proxy.outbound6)
	if err != nil {
		return 1, err
	}
	defer caught.close()
	proxy.names.Store(caught.names)

	return runCommand(ctx, signals, o, path, groups.command)
}

// caught is the command's cgroup, as long as it is caught.
type caught struct {
	redirect *redirect.Redirect
	names    *names
}

// catch makes the connects of the command's cgroup, in this network
// namespace, go to the proxy, and its DNS questions to this process.
func catch(groups *cgroups, outbound4, outbound6 netip.AddrPort) (*caught, error) {
	ns, err := netns.Current()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	cookie, err := redirect.NetnsCookie(ns)
	if err != nil {
		return nil, err
	}
	fd, dnsPort, err := newNames(ns)
	if err != nil {
		return nil, err
	}
	r, err := redirect.Open(redirect.Options{ConnectCgroup: groups.command, SocketCgroup: groups.parent})
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	pod := redirect.Pod{
		ID: podID, Cookie: cookie, Name: "weir run", Rewrite: true, Loopback: true, External: true,
		Outbound4: outbound4, Outbound6: outbound6, DNS: redirect.DNS{Port4: dnsPort},
	}
	if err := r.PutPod(pod); err != nil {
		unix.Close(fd)
		return nil, errors.Join(err, r.Close())
	}
	names, err := serveNames(r, cookie, fd)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &caught{r, names}, nil
}

func (c *caught) close() {
	c.redirect.Close() // first: no question is caught from here on
	c.names.server.Close()
}

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// inCgroup starts cmd in a cgroup, to die with this thread.
func inCgroup(cmd *exec.Cmd, dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = int(f.Fd())
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}
