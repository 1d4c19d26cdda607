package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	goruntime "runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/admin"
	"github.com/weirproxy/weir/proxy/filter/udp/dnsfilter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tls"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/xds"
	"github.com/weirproxy/weir/xds/bootstrap"
)

// server is one running proxy.
type server struct {
	o         Options
	log       *loggers
	main      *slog.Logger
	bootstrap *bootstrapv3.Bootstrap
	started   time.Time

	loops   []*network.Loop // main, then the workers
	kept    *kept           // nil: connections end with the process
	running sync.WaitGroup

	stats        *stats.Store
	serverSt     *stats.Group[serverStats]
	logs         *accesslog.Writers
	clusters     *upstream.Manager
	listeners    *listener.Manager
	routes       *routes
	nodeFields   map[string]any // for expressions
	nodeMetadata map[string]any // for filters
	local        netip.Addr     // this machine's address, as Envoy finds it
	extensions   *extensions
	afterXDS     []func() error // to be done once the xDS client is made
	secrets      *secrets
	certs        tls.Inventory
	xds          *xds.Client
	admin        *admin.Server
	lds, cds     *xds.Subscription

	httpFilters             map[string]http.FilterMaker
	upstreamFilters         http.FilterLookup // those that clusters can have
	runtime                 *runtime.Loader
	stopRuntime             context.CancelFunc
	sinks                   *sinks
	tracers                 *tracing.Providers
	overload                *overload.Manager
	watchMain, watchWorkers watchLimits
	node                    *node // nil without an agent
	stopNode                func()
	dnsTables               []*dnsfilter.Table // of the DNS listener

	state      atomic.Value // admin.State
	healthFail atomic.Bool
	quit       chan struct{}
	quitOnce   sync.Once
	failed     error // why the process must end, set on main
}

// Run runs a proxy until a signal or /quitquitquit ends it.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	level, _ := parseLevel(o.LogLevel)
	s := &server{o: o, log: newLoggers(os.Stderr, level), started: time.Now(), quit: make(chan struct{})}
	s.main = s.log.get("main")
	s.state.Store(admin.PreInitializing)
	s.keepConnections()
	b, err := bootstrap.Load(bootstrap.Options{ConfigPath: o.ConfigPath, ConfigYAML: o.ConfigYAML, ServiceNode: o.ServiceNode, ServiceCluster: o.ServiceCluster})
	if err != nil {
		return err
	}
	s.bootstrap, s.nodeMetadata, s.local = b, b.GetNode().GetMetadata().AsMap(), localAddress()
	if err := supported(b); err != nil {
		return fmt.Errorf("%s: %w", o.name(), err)
	}
	if err := s.formatLog(); err != nil {
		return fmt.Errorf("%s: %w", o.name(), err)
	}
	// One P more than there are loops that can be busy lets the scheduler
	// leave a worker alone while it waits in epoll_wait.
	goruntime.GOMAXPROCS(max(o.Concurrency+1, 2))
	if err := s.build(); err != nil {
		return fmt.Errorf("%s: %w", o.name(), err)
	}
	defer s.closeLoops()
	if o.Mode == Validate {
		fmt.Printf("configuration '%s' OK\n", o.name())
		return nil
	}
	return s.serve(ctx)
}

// formatLog applies application_log_config.
func (s *server) formatLog() error {
	f, err := applicationLog("application_log_config", s.bootstrap.GetApplicationLogConfig())
	if f == nil {
		return err
	}
	s.log.format(f, os.Stderr)
	s.main = s.log.get("main")
	return nil
}

// build makes everything that the configuration names, without listening.
func (s *server) build() error {
	if err := s.makeLoops(); err != nil {
		return err
	}
	owners := make([]stats.Owner, len(s.loops))
	for i, l := range s.loops {
		owners[i] = l
	}
	s.stats = stats.NewStore(owners...)
	s.serverSt = stats.NewGroup[serverStats](s.stats, stats.Scope{Prefix: "server."})
	s.logs = accesslog.NewWriters(s.loops, accesslog.WritersOptions{FlushInterval: s.o.FlushInterval, Log: s.log.get("file"), Stats: s.stats})
	var err error
	if err = s.configureStats(); err != nil {
		return err
	}
	if err = s.makeRuntime(); err != nil {
		return err
	}
	if s.o.AgentSocket != "" && s.o.Mode != Validate {
		if s.node, err = newNode(s); err != nil {
			return err
		}
	}
	if s.secrets, err = newSecrets(s); err != nil {
		return err
	}
	if s.xds, err = xds.New(xds.Options{Bootstrap: s.bootstrap, Post: s.loops[0].Post, Logger: s.log.get("config"), Stats: s.streamStats(), Secure: s.managementTLS}); err != nil {
		return err
	}
	if err := s.checkDialogues(); err != nil {
		return err
	}
	for _, f := range s.afterXDS {
		if err := f(); err != nil {
			return err
		}
	}
	if err = s.makeWatchdog(); err != nil {
		return err
	}
	if err = s.makeOverload(); err != nil {
		return err
	}
	if err = s.makeSinks(); err != nil {
		return err
	}
	if err = s.makeTracers(); err != nil {
		return err
	}
	s.routes, s.extensions = newRoutes(s), newExtensions(s)
	if err := s.makeClusters(); err != nil {
		return err
	}
	s.makeListeners()
	return s.addStatic()
}

func (s *server) makeLoops() error {
	for i := range s.o.Concurrency + 1 {
		name := "main"
		if i > 0 {
			name = fmt.Sprintf("worker_%d", i-1)
		}
		l, err := network.NewLoop(name, i)
		if err != nil {
			return err
		}
		s.loops = append(s.loops, l)
	}
	return nil
}

// addStatic compiles the bootstrap's clusters and listeners, clusters first
// since routes refer to them.
func (s *server) addStatic() error {
	static := field.Path("static_resources")
	r := s.bootstrap.GetStaticResources()
	for i, c := range r.GetClusters() {
		if _, err := s.clusters.AddOrUpdate(static.Dot("clusters").Index(i), c, "", true); err != nil {
			return err
		}
	}
	for i, l := range r.GetListeners() {
		if _, err := s.listeners.AddOrUpdate(static.Dot("listeners").Index(i), l, "", true); err != nil {
			return err
		}
	}
	return nil
}

// serve runs the loops until the process is to end.
func (s *server) serve(ctx context.Context) error {
	// Before anything can be asked of the process: a signal must not find it
	// unprepared.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := s.startAdmin(); err != nil {
		return err
	}
	s.kept.begin(s)
	for _, l := range s.loops[1:] {
		s.running.Add(1)
		go func() { defer s.running.Done(); l.Run() }()
	}
	main := s.loops[0]
	main.Post(s.initialize)
	stop := make(chan struct{})
	go s.watchSignals(ctx, signals, stop)
	go s.watchdog(stop)
	go newKeeper().run(stop)
	go s.sinks.run(stop)
	main.Run()
	close(stop)
	for _, l := range s.loops[1:] {
		l.Exit()
	}
	s.running.Wait()
	s.shutdown()
	if s.failed == nil {
		s.kept.end()
	}
	return s.failed
}

// initialize goes on with start-up on main: the runtime, CDS, then listeners
// and LDS.
func (s *server) initialize() {
	s.state.Store(admin.Initializing)
	var ctx context.Context
	ctx, s.stopRuntime = context.WithCancel(context.Background())
	go s.overload.Run(ctx)
	if err := s.startRuntime(ctx, s.initializeClusters); err != nil {
		s.fail(err)
	}
}

func (s *server) initializeClusters() {
	if err := s.subscribeClusters(); err != nil {
		s.fail(err)
		return
	}
	if err := s.startDialogues(); err != nil {
		s.fail(err)
		return
	}
	s.clusters.OnInitialized(func() {
		s.main.Info("all clusters initialized, starting listeners")
		if err := s.listeners.Start(); err != nil {
			s.fail(err)
			return
		}
		if err := s.subscribeListeners(); err != nil {
			s.fail(err)
			return
		}
		s.listeners.OnInitialized(s.live)
	})
}

// live is called when everything that was waited for is there.
func (s *server) live() {
	s.state.Store(admin.Live)
	s.serverSt.For(0).Live.Set(1)
	s.main.Info("all dependencies initialized, serving", "workers", s.o.Concurrency)
	s.startAgent()
	// What start-up has used is given back to the system.
	go debug.FreeOSMemory()
	if s.o.Mode == InitOnly {
		s.end()
	}
	s.tick()
}

// fail ends the process with an error.
func (s *server) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
	s.end()
}

// end makes serve return.
func (s *server) end() { s.quitOnce.Do(func() { close(s.quit); s.loops[0].Exit() }) }

func (s *server) watchSignals(ctx context.Context, sig <-chan os.Signal, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			s.loops[0].Post(s.drainAndEnd)
			ctx = context.Background()
		case x := <-sig:
			switch x {
			case syscall.SIGUSR1:
				s.logs.Reopen()
			case syscall.SIGTERM, syscall.SIGINT:
				s.main.Info("draining", "signal", x.String())
				s.loops[0].Post(s.drainAndEnd)
			}
		}
	}
}

func (s *server) closeLoops() {
	for _, l := range s.loops {
		l.Close()
	}
}

func (s *server) shutdown() {
	if s.stopNode != nil {
		s.stopNode()
		s.node.dns.server.Close()
	}
	if s.stopRuntime != nil {
		s.stopRuntime()
	}
	s.xds.Close()
	s.secrets.files.close()
	s.listeners.Close()
	if s.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.admin.Close(ctx)
	}
	s.logs.Close()
}
