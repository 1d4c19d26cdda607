package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/noderig"
	"github.com/weirproxy/weir/internal/xdsrig"
)

// name is that of the demo's directories, so that it does not meet a node's
// real agent.
const name = "weir-demo"

// demo is what the steps share.
type demo struct {
	*screen
	node           *noderig.Node
	client, server *netnsrig.Pod
	control        *xdsrig.Server
	log            transcript // of agent and proxy
	logLines       int        // of the access log, shown so far
}

// curl runs curl in the client's pod, as anyone would.
func (d *demo) curl(ctx context.Context, args ...string) (string, error) {
	out, err := d.client.Output(ctx, "curl", append([]string{"-sS", "-m", "5"}, args...)...)
	if err != nil {
		return out, fmt.Errorf("curl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(out))
	}
	return out, nil
}

// weir runs a subcommand for people and shows what it says.
func (d *demo) weir(ctx context.Context, args ...string) (string, error) {
	d.command("node", "weir "+strings.Join(args, " "))
	out, err := d.node.Command(ctx, append(args, d.node.AgentArgs()...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("weir %s: %w: %s", strings.Join(args, " "), err, out)
	}
	d.output(string(out))
	return string(out), nil
}

// route tells the control plane how to split the service's requests, and
// waits until the proxy has accepted it.
func (d *demo) route(ctx context.Context, weight1, weight2 int) error {
	yaml, err := fill(meshTemplate, mesh{
		Server: d.server.IPv4, Service4: service4, Service6: service6, ServiceName: serviceName, Port1: port1, Port2: port2,
		Weight1: weight1, Weight2: weight2, AccessLog: d.accessLog(),
	})
	if err != nil {
		return err
	}
	if err := d.control.Set(ctx, yaml); err != nil {
		return err
	}
	if d.node.Proxy == nil {
		return nil
	}
	return d.control.WaitAccepted(ctx)
}

func (d *demo) accessLog() string { return filepath.Join(d.node.ProxyDir, "access.log") }

// newLogLines are those of the access log that were not asked for yet. It
// waits until there are n of them.
func (d *demo) newLogLines(ctx context.Context, n int) ([]string, error) {
	var lines []string
	err := until(ctx, fmt.Sprintf("%d more lines in the access log", n), func() bool {
		text, _ := os.ReadFile(d.accessLog()) // it may not be there yet
		lines = strings.Split(string(text), "\n")
		lines = lines[d.logLines : len(lines)-1] // the last is not complete
		return len(lines) >= n
	})
	d.logLines += len(lines)
	return lines, err
}

// showLog shows the end of what agent and proxy said, when something failed.
func (d *demo) showLog() {
	lines := strings.Split(strings.TrimSpace(d.log.String()), "\n")
	d.say("The last words of agent and proxy:")
	d.output(strings.Join(lines[max(0, len(lines)-15):], "\n"))
}

// suggest is what to try with -keep.
func (d *demo) suggest() {
	for _, c := range []string{
		fmt.Sprintf("ip netns exec %s curl http://%s/", filepath.Base(d.client.Netns), service4),
		"bin/weir observe --follow " + strings.Join(d.node.AgentArgs(), " "),
		"bin/weir agent status " + strings.Join(d.node.AgentArgs(), " "),
		fmt.Sprintf("curl http://%s/help", d.node.AdminAddr()),
	} {
		d.command("", c)
	}
}

// cleanUp removes everything, and checks that.
func (d *demo) cleanUp() error {
	if d.node == nil {
		return nil
	}
	d.line("")
	var errs []error
	if d.control != nil {
		defer d.control.Close() // after the proxy, which would complain
	}
	left := []string{d.node.RunDir, d.node.BPFDir}
	for _, p := range d.node.Rig.Pods() {
		left = append(left, p.Netns, p.Cgroup)
	}
	errs = append(errs, d.node.Close())
	for _, path := range left {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s is left behind", path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.isTrue("Cleaned up: no namespace, cgroup, program, map, route or process is left.")
	return nil
}
