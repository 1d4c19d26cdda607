package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/agent/redirect"
	"github.com/weirproxy/weir/internal/cgroup2"
)

// Options configures an agent. [DefaultOptions] fills it.
type Options struct {
	// Config is the file of the pods to manage; empty: only those added by
	// the control socket.
	Config string
	// Sources tell of further pods.
	Sources []pods.Source
	// Services tell of services to be balanced at connect, besides those of the
	// configuration file; may be nil.
	Services pods.ServiceSource
	// Peers tell the proxies of pods that this agent does not manage, besides
	// those of the configuration file; may be nil.
	Peers pods.PeerSource
	// RunDir holds the control socket (agent.sock), the proxies' socket
	// (proxy.sock) and the state that a restarted agent continues from.
	RunDir string
	// ControlSocket and ProxySocket are elsewhere if not empty.
	ControlSocket, ProxySocket string
	// Exclude is left alone in every pod, besides what the pod's own
	// configuration excludes.
	Exclude pods.Exclusions
	// ProxyUIDs are the users whose proxies are served.
	ProxyUIDs []uint32
	// BPFDir is where maps and links are pinned.
	BPFDir string
	// Cgroup is what the programs are attached to; empty: the whole machine.
	Cgroup string
	// DNS catches the DNS of pods that do not say whether they want it.
	DNS bool
	// MetricsAddress is where Prometheus is answered (HOST:PORT); empty: nowhere.
	MetricsAddress string
	// MaxSilence is how long a proxy may go without a heartbeat before each
	// pod's policy decides; 0: for ever.
	MaxSilence time.Duration
	Log        *slog.Logger
}

// DefaultRunDir is Options.RunDir, unless given.
const DefaultRunDir = "/run/weir"

// DefaultOptions are those of a node.
func DefaultOptions() Options {
	return Options{
		RunDir:     DefaultRunDir,
		ProxyUIDs:  []uint32{0},
		BPFDir:     redirect.DefaultDir,
		MaxSilence: 10 * time.Second,
		Log:        slog.Default(),
	}
}

func (o *Options) controlSocket() string { return orDefault(o.ControlSocket, o.RunDir, "agent.sock") }
func (o *Options) proxySocket() string   { return orDefault(o.ProxySocket, o.RunDir, "proxy.sock") }
func (o *Options) stateFile() string     { return filepath.Join(o.RunDir, "agent.json") }

func orDefault(path, dir, name string) string {
	if path != "" {
		return path
	}
	return filepath.Join(dir, name)
}

// Agent manages pods. Its methods may be called from any goroutine.
type Agent struct {
	opts     Options
	log      *slog.Logger
	redirect *redirect.Redirect
	server   *handoff.Server
	started  time.Time
	cookie   uint64 // of the agent's own network namespace

	mu          sync.Mutex
	static      []pods.Spec            // of the configuration file
	services    []pods.Service         // of the configuration file
	peers       []pods.Peer            // of the configuration file
	balanced    []pods.Service         // that the kernel has
	servicesSet bool                   // the kernel has this agent's
	added       map[string]pods.Spec   // of the control socket, by key
	sourced     map[string][]pods.Spec // of each source, by its name, as last known
	managed     map[string]*pod        // by key
	byID        map[uint32]*pod
	failed      map[string]string // why a wanted pod is not managed, by key
	unpinned    string            // why maps or links could not be pinned again
	unbalanced  string            // why services could not be balanced
	lastID      uint32
	retire      chan struct{} // another agent asks for it
	// inherited are the IDs of the last agent's pods by netns cookie, until
	// they are managed again.
	inherited map[uint64]uint32
}

// New takes over what the last agent left, and manages the pods that it is
// configured for and those that were added to the last.
func New(o Options) (*Agent, error) {
	a := &Agent{
		opts: o, log: o.Log, started: time.Now(),
		added: map[string]pods.Spec{}, sourced: map[string][]pods.Spec{}, managed: map[string]*pod{}, byID: map[uint32]*pod{}, failed: map[string]string{},
		retire: make(chan struct{}, 1),
	}
	if err := os.MkdirAll(o.RunDir, 0o755); err != nil {
		return nil, err
	}
	if _, err := NewClient(o).Status(context.Background()); err == nil {
		return nil, fmt.Errorf("an agent is running already (it answers on %s)", o.controlSocket())
	}
	if err := a.loadConfig(); err != nil {
		return nil, err
	}
	last, err := readState(o.stateFile())
	if err != nil {
		return nil, err
	}
	maps.Copy(a.added, last.Added)
	for _, source := range o.Sources {
		a.sourced[source.Name()] = last.Sourced[source.Name()]
	}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.tellPeers(nil)
	if o.Peers == nil {
		a.server.PeersComplete()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reconcile()
	return a, a.disown(last.Pods)
}

func (a *Agent) open() error {
	cgroup := a.opts.Cgroup
	if cgroup == "" {
		root, err := cgroup2.Mount()
		if err != nil {
			return err
		}
		cgroup = root
	}
	own, err := netns.Current()
	if err != nil {
		return err
	}
	defer own.Close()
	if a.cookie, err = redirect.NetnsCookie(own); err != nil {
		return err
	}
	r, err := redirect.Open(redirect.Options{Dir: a.opts.BPFDir, ConnectCgroup: cgroup})
	if err != nil {
		return err
	}
	a.redirect = r
	if err := r.SetMaxSilence(a.opts.MaxSilence); err != nil {
		return err
	}
	if err := a.inherit(); err != nil {
		return err
	}
	// The agent's own user: another agent returns listeners.
	uids := append(slices.Clone(a.opts.ProxyUIDs), uint32(os.Geteuid()))
	a.server, err = handoff.Listen(handoff.ServerOptions{
		Path: a.opts.proxySocket(), UIDs: uids, HeartbeatFD: r.HeartbeatFD(), Log: a.log,
	}, (*source)(a))
	return err
}

// interval is how often the agent looks whether the pods are as they should be.
const interval = time.Second

// Run works until ctx is done, or until another agent takes over. SIGHUP reads
// the configuration again.
func (a *Agent) Run(outer context.Context) error {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	control, err := a.listenControl()
	if err != nil {
		return err
	}
	metrics, err := a.listenMetrics()
	if err != nil {
		return errors.Join(err, control.Close())
	}
	releaseStartup()
	a.log.Info("agent is up", "pods", len(a.managed), "control", a.opts.controlSocket(), "proxies", a.opts.proxySocket(), "bpf", a.opts.BPFDir)
	var wg sync.WaitGroup
	errs := make(chan error, 5+len(a.opts.Sources))
	changed := make(chan struct{}, 1)
	for _, source := range a.opts.Sources {
		wg.Go(func() { errs <- source.Run(ctx) })
		wg.Go(func() { relay(ctx, source.Changed(), changed) })
	}
	if services := a.opts.Services; services != nil {
		wg.Go(func() { errs <- services.Run(ctx) })
		wg.Go(func() { relay(ctx, services.Changed(), changed) })
	}
	if peers := a.opts.Peers; peers != nil {
		wg.Go(func() { errs <- peers.Run(ctx, (*peerSink)(a)) })
	}
	wg.Go(func() { errs <- a.server.Run(ctx) })
	wg.Go(func() { errs <- a.serveControl(ctx, control) })
	if metrics != nil {
		wg.Go(func() { errs <- a.serveMetrics(ctx, metrics) })
	}

	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			cancel()
			wg.Wait()
			a.log.Info("agent stops; pods stay caught, connections wait for their proxy")
			return a.close()
		case <-a.retire:
			cancel()
			wg.Wait()
			a.returnListeners(outer)
			return errors.Join(errRetired, a.close())
		case err = <-errs:
		case <-hup:
			a.reload()
		case <-changed:
			a.reconcileNow()
		case <-ticks.C:
			a.reconcileNow()
		}
	}
	cancel()
	wg.Wait()
	return errors.Join(err, a.close())
}

// relay merges what sources say into one channel.
func relay(ctx context.Context, from <-chan struct{}, to chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-from:
		}
		select {
		case to <- struct{}{}:
		default: // the agent will look anyway
		}
	}
}

func (a *Agent) loadConfig() error {
	if a.opts.Config == "" {
		return nil
	}
	c, err := pods.Load(a.opts.Config)
	if err != nil {
		return err
	}
	a.static, a.services, a.peers = c.Pods, c.Services, c.Peers
	return nil
}

// reload keeps the old configuration when the new one is wrong.
func (a *Agent) reload() {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.peers
	if err := a.loadConfig(); err != nil {
		a.log.Error("configuration is not reloaded", "error", err)
		return
	}
	a.tellPeers(old)
	a.log.Info("configuration reloaded", "file", a.opts.Config, "pods", len(a.static))
	a.reconcile()
}

// close lets go of all descriptors; the pods stay caught.
func (a *Agent) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.managed {
		p.close()
	}
	if a.redirect == nil {
		return nil
	}
	return a.redirect.Close()
}
