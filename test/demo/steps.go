package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/noderig"
	"github.com/weirproxy/weir/internal/xdsrig"
)

type step struct {
	title string
	show  func(d *demo, ctx context.Context, weir string) error
}

// steps is the story. Each shows something and fails if it is not so.
var steps = []step{
	{"Two pods, made as a CNI plugin makes them", (*demo).makePods},
	{"The agent, the control plane and the proxy", (*demo).startWeir},
	{"Plain curl is caught, and weir knows where it was going", (*demo).oneRequest},
	{"200 requests, split 90 to 10", (*demo).split},
	{"An update moves all traffic, and no request fails", (*demo).move},
	{"What the kernel knows: the pinned maps", (*demo).maps},
	{"What the proxy knows: its admin pages", (*demo).admin},
}

func (d *demo) makePods(_ context.Context, weir string) (err error) {
	if d.node, err = noderig.New(weir, name, &d.log); err != nil {
		return err
	}
	if d.client, err = d.node.Rig.AddPod("client"); err != nil {
		return err
	}
	if d.server, err = d.node.Rig.AddPod("server"); err != nil {
		return err
	}
	for _, p := range d.pods() {
		d.say("%-7s %s and %s, in %s and cgroup %s", p.Name, p.IPv4, p.IPv6, p.Netns, p.Cgroup)
	}
	if err := d.startWeb(d.server, "web-v1", fmt.Sprintf(":%d", port1)); err != nil {
		return err
	}
	if err := d.startWeb(d.server, "web-v2", fmt.Sprintf(":%d", port2)); err != nil {
		return err
	}
	d.say("In the server's pod run two versions of a web server, on ports %d and %d.", port1, port2)
	d.say("Nothing in the pods knows of weir, and nothing in them will be changed.")
	return nil
}

func (d *demo) pods() []*netnsrig.Pod { return []*netnsrig.Pod{d.client, d.server} }

func (d *demo) startWeir(ctx context.Context, _ string) (err error) {
	if err := d.node.StartAgent(ctx); err != nil {
		return err
	}
	if d.control, err = xdsrig.New("demo"); err != nil {
		return err
	}
	if err := d.route(ctx, 90, 10); err != nil {
		return err
	}
	bootstrap, err := fill(bootstrapTemplate, struct{ Port int }{d.control.Port()})
	if err != nil {
		return err
	}
	if err := d.node.StartProxy(ctx, bootstrap); err != nil {
		return err
	}
	d.say("(weir's flags %s are left out here.)", strings.Join(d.node.AgentArgs(), " "))
	for _, p := range d.pods() {
		if _, err := d.weir(ctx, "agent", "add-pod", "--name", p.Name, "--netns", p.Netns, "--cgroup", p.Cgroup, "--dns"); err != nil {
			return err
		}
	}
	if _, err := d.weir(ctx, "agent", "status"); err != nil {
		return err
	}
	if err := d.control.WaitAccepted(ctx); err != nil {
		return err
	}
	d.isTrue("A go-control-plane server serves LDS, CDS, RDS and EDS over gRPC; the proxy has accepted them.")
	return d.unprivileged()
}

func (d *demo) unprivileged() error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.node.Proxy.PID()))
	if err != nil {
		return err
	}
	for _, want := range []string{fmt.Sprintf("Uid:\t%d\t", noderig.ProxyUID), "CapEff:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			return fmt.Errorf("the proxy has privileges: no %q in\n%s", want, status)
		}
	}
	d.isTrue("The proxy (process %d) is user %d and has no capabilities.", d.node.Proxy.PID(), noderig.ProxyUID)
	return nil
}

func (d *demo) oneRequest(ctx context.Context, _ string) error {
	d.say("Nobody has the service's addresses, %s and %s: they are only in the mesh's routes.", service4, service6)
	observed, stop, err := d.observe(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, ip := range []string{service4, service6} {
		addr := net.JoinHostPort(ip, "80")
		url := "http://" + strings.TrimSuffix(addr, ":80") + "/"
		d.command("client", "curl -g "+url)
		out, err := d.curl(ctx, "-g", "-w", `curl connected to %{remote_ip} port %{remote_port}\n`, url)
		if err != nil {
			return err
		}
		d.output(out)
		if !strings.HasPrefix(out, "web-v") || !strings.Contains(out, "connected to "+ip+" port 80") {
			return fmt.Errorf("curl should be answered by the web server, as %s", addr)
		}
	}
	if err := until(ctx, "weir observe", func() bool { return strings.Count(observed.String(), "marked\n") >= 2 }); err != nil {
		return err
	}
	d.command("node", "weir observe --follow")
	d.output(observed.String())
	log, err := d.newLogLines(ctx, 2)
	if err != nil {
		return err
	}
	d.command("node", "cat access.log")
	d.output(strings.Join(log, "\n"))
	for _, ip := range []string{service4, service6} { // in the order of the workers that log them
		want := "wanted " + netip.AddrPortFrom(netip.MustParseAddr(ip), 80).String() + ","
		if !strings.Contains(strings.Join(log, "\n"), want) {
			return fmt.Errorf("no %q in the access log", want)
		}
	}
	d.isTrue("The connections were caught by eBPF; their original destinations are %s and %s.", service4, service6)
	return d.byName(ctx)
}

// byName shows a host of the mesh that no DNS server knows.
func (d *demo) byName(ctx context.Context) error {
	resolvConf := filepath.Join(d.node.RunDir, "resolv.conf")
	if err := os.WriteFile(resolvConf, fmt.Appendf(nil, "nameserver %s\n", d.node.Rig.Gateway4), 0o644); err != nil {
		return err
	}
	d.command("client", "curl http://"+serviceName+"/")
	out, err := d.client.Output(ctx, "unshare", "-m", "sh", "-c", "mount --bind "+resolvConf+" /etc/resolv.conf && exec curl -4 -sS -m 5 -w "+
		`'curl connected to %{remote_ip} port %{remote_port}\n' http://`+serviceName+"/")
	if err != nil {
		return fmt.Errorf("curl %s: %w: %s", serviceName, err, out)
	}
	d.output(out)
	if !strings.HasPrefix(out, "web-v") || !strings.Contains(out, "connected to 240.240.") {
		return fmt.Errorf("curl should be answered by the web server, as %s", serviceName)
	}
	d.isTrue("No DNS server knows %s: the proxy gave it an address, because a route is for it.", serviceName)
	return nil
}

// observe runs weir observe until stop, and returns when it observes.
func (d *demo) observe(ctx context.Context) (out *transcript, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	out = &transcript{}
	cmd := d.node.Command(ctx, append([]string{"observe", "--follow"}, d.node.AgentArgs()...)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, nil, err
	}
	stop = sync.OnceFunc(func() { cancel(); cmd.Wait() })
	if err := until(ctx, "weir observe to begin", func() bool { return out.String() != "" }); err != nil {
		stop()
		return nil, nil, err
	}
	return out, stop, nil
}

// requests is how many the split is shown by.
const requests = 200

func (d *demo) count(ctx context.Context) (v1, v2 int, err error) {
	url := fmt.Sprintf("http://%s/[1-%d]", service4, requests)
	d.command("client", "curl '"+url+"' | cut -d' ' -f1 | sort | uniq -c")
	out, err := d.curl(ctx, url)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(out) {
		switch name, _, _ := strings.Cut(line, " "); name {
		case "web-v1":
			v1++
		case "web-v2":
			v2++
		default:
			return v1, v2, fmt.Errorf("an answer that is none: %q", line)
		}
	}
	d.output(fmt.Sprintf("%7d web-v1\n%7d web-v2", v1, v2))
	if v1+v2 != requests {
		return v1, v2, fmt.Errorf("%d answers, want %d", v1+v2, requests)
	}
	return v1, v2, nil
}

func (d *demo) split(ctx context.Context, _ string) error {
	v1, v2, err := d.count(ctx)
	if err != nil {
		return err
	}
	// Chance does as it likes: outside of these once in 50,000 demos.
	if const10 := requests / 10; v2 < const10/4 || v2 > const10*2 {
		return fmt.Errorf("%d and %d are no split of 90 to 10", v1, v2)
	}
	d.isTrue("Two weighted clusters: %d %% and %d %%.", v1*100/requests, v2*100/requests)
	return nil
}

func (d *demo) move(ctx context.Context, _ string) error {
	l := d.startLoad(ctx)
	err := l.more(ctx, 100)
	if err == nil {
		d.say("While requests keep coming, the control plane sends routes in which web-v2 has all the weight.")
		err = d.route(ctx, 0, 100)
	}
	if err == nil {
		_, _, err = d.allMoved(ctx)
	}
	if err == nil {
		err = l.more(ctx, 100)
	}
	answers, failed := l.stop()
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	d.isTrue("All traffic has moved. Of %d requests meanwhile, on new and on kept connections, none failed.", answers)
	return nil
}

func (d *demo) allMoved(ctx context.Context) (v1, v2 int, err error) {
	v1, v2, err = d.count(ctx)
	if err == nil && v1 > 0 {
		err = fmt.Errorf("%d requests still went to web-v1 after the update was accepted", v1)
	}
	return v1, v2, err
}

func (d *demo) maps(ctx context.Context, _ string) error {
	bpftool, err := findBpftool()
	if err != nil {
		return err
	}
	for _, c := range []struct{ args, want string }{
		{"map dump pinned $/weir_pods", `"name": "default/client"`},
		{"map dump pinned $/weir_settings", `"max_silence_ms": 10000`},
		{"link show pinned $/links/connect4", "cgroup_inet4_connect"},
		{"link show pinned $/links/sk_lookup_1", "sk_lookup"},
	} {
		args := strings.ReplaceAll(c.args, "$", d.node.BPFDir)
		d.command("node", "bpftool "+args)
		out, err := exec.CommandContext(ctx, bpftool, strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("bpftool: %w: %s", err, out)
		}
		d.output(string(out))
		if !strings.Contains(string(out), c.want) {
			return fmt.Errorf("no %s in it", c.want)
		}
	}
	if _, err := d.weir(ctx, "agent", "status"); err != nil {
		return err
	}
	s, err := d.node.Client().Status(ctx)
	if err != nil {
		return err
	}
	caught, inbound, failed := s.Counters["outbound_marked"], s.Counters["inbound"], s.Counters["failed"]
	if caught == 0 || inbound == 0 || failed != 0 {
		return fmt.Errorf("the counters are not those of a demo that works: %v", s.Counters)
	}
	d.isTrue("%d connections were caught on their way out of a pod, %d on their way in.", caught, inbound)
	return nil
}

// findBpftool knows that Debian has it where users other than root don't look.
func findBpftool() (string, error) {
	if path, err := exec.LookPath("bpftool"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/bpftool")
}

func (d *demo) admin(ctx context.Context, _ string) error {
	for _, page := range []struct {
		path string
		show *regexp.Regexp // the lines shown
		want []string
	}{
		{"/routes", regexp.MustCompile(``), []string{"virtual_host web", "web-v2  weight 100  100 %"}},
		{"/clusters", regexp.MustCompile(`^web.*::(rq_.*|cx_total|health_flags)::`), []string{
			fmt.Sprintf("web-v2::%s:%d::health_flags::healthy", d.server.IPv4, port2),
			fmt.Sprintf("web-v2::%s:%d::rq_error::0", d.server.IPv4, port2),
		}},
	} {
		out, err := d.node.Admin(ctx, page.path)
		if err != nil {
			return err
		}
		text := "curl http://" + d.node.AdminAddr() + page.path
		if s := page.show.String(); s != "" {
			text += " | grep -E '" + s + "'"
		}
		d.command("node", text)
		for line := range strings.Lines(out) {
			if page.show.MatchString(line) {
				d.output(line)
			}
		}
		for _, want := range page.want {
			if !strings.Contains(out, want) {
				return fmt.Errorf("no %q in %s", want, page.path)
			}
		}
	}
	return nil
}
