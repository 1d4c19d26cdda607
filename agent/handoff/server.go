package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Source is what the agent does for its proxies. Its methods are called from
// several goroutines.
type Source interface {
	// Adopt is given a listener that a proxy says is the pod's. It owns l.FD
	// from now on, and must not believe the proxy.
	Adopt(podID uint32, l Listener)
	// Ready is called when a proxy has returned all that it held.
	Ready()
	// UpstreamSockets makes n sockets in the pod; they are the caller's.
	UpstreamSockets(podID uint32, f Family, p Protocol, n int) ([]int, error)
}

// ServerOptions says where to listen and whom to serve.
type ServerOptions struct {
	Path        string
	UIDs        []uint32 // who may connect
	HeartbeatFD int      // given to every proxy; stays the caller's
	Log         *slog.Logger
}

// Server hands the pods' sockets to all proxies that connect: to two while
// one replaces the other.
type Server struct {
	opts     ServerOptions
	source   Source
	listener *net.UnixListener

	mu      sync.Mutex
	pods    map[uint32]Pod
	clients map[*conn]unix.Ucred
	reports reports
	peers   peers
}

// Listen makes the socket. A stale one of an agent that was killed is replaced.
func Listen(o ServerOptions, source Source) (*Server, error) {
	if err := os.Remove(o.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: o.Path, Net: network})
	if err != nil {
		return nil, err
	}
	// The peer's credentials decide; a mode could not name several users.
	if err := os.Chmod(o.Path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	return &Server{opts: o, source: source, listener: l, pods: map[uint32]Pod{}, clients: map[*conn]unix.Ucred{}, reports: newReports(), peers: peers{known: map[string]Peer{}}}, nil
}

// Run serves until ctx is done, and removes the socket.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		c, err := s.listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.opts.Path, err)
		}
		serving.Go(func() { s.serve(ctx, newConn(c)) })
	}
}

// Add announces a pod to all proxies, or again when its sockets or its
// identity changed. Labels beyond what a message may have are left out.
func (s *Server) Add(p Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Labels = bounded(p.Labels)
	s.pods[p.ID] = p
	for c := range s.clients {
		s.announce(c, p)
	}
}

// Remove tells all proxies that a pod is gone. No descriptor of it is in use
// when it returns.
func (s *Server) Remove(podID uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pods, podID)
	for c := range s.clients {
		s.sendOrDrop(c, &message{Type: typePodRemoved, ID: podID})
	}
}

// Proxies lists the PIDs of the proxies that are connected.
func (s *Server) Proxies() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	pids := make([]int, 0, len(s.clients))
	for _, cred := range s.clients {
		pids = append(pids, int(cred.Pid))
	}
	slices.Sort(pids)
	return pids
}

func (s *Server) serve(ctx context.Context, c *conn) {
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	defer c.close()
	cred, err := c.peer()
	if err != nil {
		s.opts.Log.Warn("proxy refused", "error", err)
		return
	}
	log := s.opts.Log.With("pid", cred.Pid, "uid", cred.Uid)
	if !slices.Contains(s.opts.UIDs, cred.Uid) {
		log.Warn("proxy refused: only the users given by --proxy-uid may connect")
		return
	}
	if err := s.greet(c); err != nil {
		log.Warn("proxy refused", "error", err)
		return
	}
	log.Info("proxy connected")
	defer s.leave(c)
	if err := s.talk(c, *cred, log); !errors.Is(err, io.EOF) && ctx.Err() == nil {
		log.Warn("proxy dropped", "error", err)
		return
	}
	log.Info("proxy disconnected")
}

// greetTimeout is how long a peer may take to say hello.
const greetTimeout = 5 * time.Second

func (s *Server) greet(c *conn) error {
	if err := c.unix.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}
	m, fds, err := c.receive()
	if err != nil {
		return err
	}
	closeAll(fds)
	c.reports = slices.Contains(m.Features, FeatureConnections)
	if m.Type != typeHello {
		return fmt.Errorf("message %q before hello", m.Type)
	}
	c.dns = slices.Contains(m.Features, FeatureDNS)
	c.canYield, c.started = slices.Contains(m.Features, FeatureYield), m.Started
	if err := c.send(&message{Type: typeHello, Version: Version, Features: []string{FeatureDNS}}, s.opts.HeartbeatFD); err != nil {
		return err
	}
	if m.Version < oldestVersion {
		return fmt.Errorf("it speaks version %d, this agent %d to %d", m.Version, oldestVersion, Version)
	}
	return c.unix.SetReadDeadline(time.Time{})
}

// talk serves a proxy until the connection ends, and returns why.
func (s *Server) talk(c *conn, cred unix.Ucred, log *slog.Logger) error {
	joined := false
	for {
		m, fds, err := c.receive()
		if err != nil {
			return err
		}
		if !m.isKnown() {
			closeAll(fds)
			continue
		}
		switch m.Type {
		case typeHeld:
			m.Listener.FD = fds[0]
			s.source.Adopt(m.ID, *m.Listener)
		case typeReady:
			if joined {
				return errors.New("ready a second time")
			}
			joined = true
			s.source.Ready()
			s.join(c, cred)
		case typeConnections:
			s.listed(c, m)
		case typeClosed:
			s.closed(m)
		case typeDraining:
			s.drains(c)
		case typeWantUpstream:
			if err := s.giveUpstream(c, m, log); err != nil {
				return err
			}
		default:
			closeAll(fds)
			return fmt.Errorf("message %q is not a proxy's", m.Type)
		}
	}
}

func (s *Server) giveUpstream(c *conn, m *message, log *slog.Logger) error {
	fds, err := s.source.UpstreamSockets(m.ID, m.Family, m.Protocol, m.Count)
	if err != nil {
		log.Warn("no upstream sockets", "pod", m.ID, "error", err)
		return c.send(&message{Type: typeRefused, ID: m.ID, Family: m.Family, Protocol: m.Protocol, Seq: m.Seq, Error: err.Error()})
	}
	defer closeAll(fds)
	return c.send(&message{Type: typeUpstream, ID: m.ID, Family: m.Family, Protocol: m.Protocol, Seq: m.Seq}, fds...)
}

// join sends every pod; from then on the client hears of each change.
func (s *Server) join(c *conn, cred unix.Ucred) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c] = cred
	for _, p := range s.pods {
		s.announce(c, p)
	}
	s.sendOrDrop(c, &message{Type: typeSynced})
	s.chooseAcceptor()
	s.tellPeers(c)
	if c.reports && len(s.reports.watchers) > 0 {
		s.sendOrDrop(c, &message{Type: typeWatch, Watch: true})
	}
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
	s.chooseAcceptor()
	s.gone(c)
}

// sendOrDrop ends a client that cannot be told: it would miss a change.
func (s *Server) sendOrDrop(c *conn, m *message, fds ...int) {
	if err := c.send(m, fds...); err != nil {
		s.opts.Log.Warn("proxy dropped", "pid", s.clients[c].Pid, "error", err)
		c.close() // its reader leaves
	}
}

// announce leaves DNS out for proxies that do not know of it.
func (s *Server) announce(c *conn, p Pod) {
	if !c.dns {
		p.Listeners = slices.DeleteFunc(slices.Clone(p.Listeners), func(l Listener) bool { return l.Direction == DNS })
	}
	s.sendOrDrop(c, podAdded(p), p.fds()...)
}

func podAdded(p Pod) *message { return &message{Type: typePodAdded, Pod: &p} }

func (p Pod) fds() []int {
	fds := make([]int, len(p.Listeners))
	for i, l := range p.Listeners {
		fds[i] = l.FD
	}
	if p.HasDNS() {
		fds = append(fds, p.DNSServers)
	}
	return fds
}
