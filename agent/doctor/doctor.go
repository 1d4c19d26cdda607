package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/redirect"
	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/internal/buildinfo"
)

// Options says where to look.
type Options struct {
	Agent agent.Options
	// Admin is the proxy's admin address, HOST:PORT; empty: don't ask it.
	Admin string
}

// Finding is one thing that was looked at.
type Finding struct {
	What string
	Bad  string // what is wrong with it; empty: nothing
}

// String is the finding on a line.
func (f Finding) String() string {
	if f.Bad != "" {
		return "✗ " + f.What + ": " + f.Bad
	}
	return "✓ " + f.What
}

// Report looks the node over and writes the archive to w. An error is of
// writing it; what is wrong with the node is in the findings.
func Report(ctx context.Context, o Options, w io.Writer) ([]Finding, error) {
	now := time.Now()
	a := newArchive(w, "weir-doctor-"+now.UTC().Format("20060102-150405"), now)
	findings := []Finding{kernel(a)}
	status, found := agentStatus(ctx, o, a)
	findings = append(findings, found...)
	if o.Admin != "" {
		findings = append(findings, proxy(ctx, o.Admin, a))
	}
	node(ctx, a)
	programs(ctx, o.Agent.BPFDir, a)
	for _, p := range status.Pods {
		pod(ctx, p, a)
	}
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&text, f)
	}
	a.add("findings.txt", []byte(text.String()), nil)
	return findings, a.close()
}

// kernel probes for what the agent needs.
func kernel(a *archive) Finding {
	features := redirect.Check()
	text, err := json.MarshalIndent(features, "", "  ")
	a.add("check.json", text, err)
	f := Finding{What: "the kernel has all that weir needs"}
	if err := agent.Missing(features); err != nil {
		f.Bad = err.Error()
	}
	return f
}

func agentStatus(ctx context.Context, o Options, a *archive) (agent.Status, []Finding) {
	s, err := agent.NewClient(o.Agent).Status(ctx)
	if err != nil {
		a.add("agent/status.json", nil, err)
		return s, []Finding{{What: "the agent answers", Bad: err.Error()}}
	}
	text, err := json.MarshalIndent(s, "", "  ")
	a.add("agent/status.json", text, err)
	findings := []Finding{{What: "the agent answers"}}
	problems := s.Problems()
	for _, p := range problems {
		findings = append(findings, Finding{What: "pods are caught", Bad: p})
	}
	if len(problems) == 0 {
		findings = append(findings, Finding{What: fmt.Sprintf("%d pods are caught", len(s.Pods))})
	}
	for _, counter := range []string{"failed", "proxy_silent_closed", "proxy_silent_open", "flows_lost"} {
		if n := s.Counters[counter]; n > 0 {
			findings = append(findings, Finding{What: "no connection was decided for want of a proxy or by an error", Bad: fmt.Sprintf("%s is %d", counter, n)})
		}
	}
	return s, findings
}

// pages are the admin pages that are collected; they redact secrets by Envoy's
// rules, and scrub removes the rest.
var pages = []string{"/server_info", "/ready", "/config_dump?include_eds", "/clusters", "/listeners", "/routes", "/stats", "/certs", "/runtime", "/memory"}

func proxy(ctx context.Context, admin string, a *archive) Finding {
	f := Finding{What: "the proxy is ready"}
	for _, page := range pages {
		text, err := get(ctx, "http://"+admin+page)
		name, _, _ := strings.Cut(page, "?")
		a.add("proxy"+name+".txt", scrub(text), err)
		if page == "/ready" && err != nil {
			f.Bad = fmt.Sprintf("%v (--admin says where its admin pages are)", err)
		}
	}
	return f
}

// patience is how long a page or a command may take.
const patience = 10 * time.Second

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return text, err
}

// node is the machine: versions, mounts, interfaces.
func node(ctx context.Context, a *archive) {
	a.add("version.txt", []byte(buildinfo.Version()+"\n"), nil)
	var u unix.Utsname
	err := unix.Uname(&u)
	a.add("node/kernel.txt", fmt.Appendf(nil, "%s %s %s\n", unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Version[:]), unix.ByteSliceToString(u.Machine[:])), err)
	for name, path := range map[string]string{"os-release": "/etc/os-release", "mountinfo": "/proc/self/mountinfo", "cgroup": "/proc/self/cgroup"} {
		text, err := os.ReadFile(path)
		a.add("node/"+name, text, err)
	}
	run(ctx, a, "node/addresses.txt", "ip", "-br", "address")
	run(ctx, a, "node/routes.txt", "ip", "route", "show", "table", "all")
}

// notDumped are the maps whose types let nobody read what is in them.
var notDumped = map[string]bool{bpf.WeirMapWeirFlows: true, bpf.WeirMapWeirSkBypass: true, bpf.WeirMapWeirSkOrig: true}

// programs are what is loaded and attached, as bpftool tells it.
func programs(ctx context.Context, dir string, a *archive) {
	run(ctx, a, "bpf/programs.txt", "bpftool", "prog", "show")
	run(ctx, a, "bpf/links.txt", "bpftool", "link", "show")
	maps, err := filepath.Glob(filepath.Join(dir, "weir_*"))
	if err != nil || len(maps) == 0 {
		a.add("bpf/maps", nil, fmt.Errorf("no maps in %s", dir))
	}
	for _, m := range maps {
		if notDumped[filepath.Base(m)] {
			continue
		}
		run(ctx, a, "bpf/maps/"+filepath.Base(m)+".json", "bpftool", "map", "dump", "pinned", m)
	}
}

// pod is its namespace: addresses, rules, routes and sockets.
func pod(ctx context.Context, p agent.PodStatus, a *archive) {
	dir := "pods/" + p.Namespace + "_" + p.Name + "/"
	for name, command := range map[string]string{
		"addresses.txt": "ip -br address", "rules.txt": "ip rule; ip -6 rule", "routes.txt": "ip route show table all; ip -6 route show table all",
		"sockets.txt": "ss -tuane",
	} {
		run(ctx, a, dir+name, "nsenter", "--net="+p.Netns, "sh", "-c", command)
	}
}

func run(ctx context.Context, a *archive, name string, command ...string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	a.add(name, text, err)
}
