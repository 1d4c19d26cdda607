package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"
)

// pageTimeout bounds a page: a worker that doesn't answer must not pile up requests.
const pageTimeout = 10 * time.Second

// Server serves the pages on one address.
type Server struct {
	config   Config
	sources  Sources
	list     []command // Envoy's, then our own
	commands map[string]*command
	profile  cpuProfile
	lookups  atomic.Bool // whether /stats/recentlookups is enabled
	listener net.Listener
	http     *http.Server
	origins  *http.CrossOriginProtection
	log      *slog.Logger
}

// Listen binds the configured address; requests are answered from [Server.Serve] on.
func Listen(c Config, sources Sources) (*Server, error) {
	s := &Server{config: c, sources: sources, list: append(envoyCommands(), ownCommands()...), commands: map[string]*command{}, origins: http.NewCrossOriginProtection(), log: sources.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	for i := range s.list {
		s.commands[s.list[i].path] = &s.list[i]
	}
	listener, err := c.listen()
	if err != nil {
		return nil, fmt.Errorf("admin: cannot listen on %s: %w", c.Address, err)
	}
	s.listener = listener
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if sources.Traffic != nil {
		s.http.ConnState = (&openConnections{traffic: sources.Traffic}).onState
	}
	return s, nil
}

// Address is the bound address, as --admin-address-path gets it: "127.0.0.1:9901" or a path.
func (s *Server) Address() string { return s.listener.Addr().String() }

// WriteAddress writes the address to the file of --admin-address-path.
func (s *Server) WriteAddress(path string) error {
	if err := os.WriteFile(path, []byte(s.Address()), 0o644); err != nil {
		return fmt.Errorf("cannot write the admin address: %w", err)
	}
	return nil
}

// Serve answers requests until Close; it then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Close stops listening and lets requests in progress finish until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

// ServeHTTP finds the page, checks the method and writes the errors.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted := &counted{ResponseWriter: w, status: http.StatusOK}
	begun := time.Now()
	if s.sources.Traffic != nil {
		s.sources.Traffic.Requested()
		defer func() { s.sources.Traffic.Answered(counted.status, time.Since(begun)) }()
	}
	s.serve(counted, r)
	if s.sources.Access != nil {
		s.sources.Access(Access{Request: r, Begun: begun, Status: counted.status, Sent: counted.sent})
	}
}

// counted remembers what an answer was.
type counted struct {
	http.ResponseWriter
	status int
	sent   uint64
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sent += uint64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the original.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Cache-Control", "no-cache, max-age=0")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Server", "envoy")
	c := s.commands[normalized(r.URL.Path)]
	if c == nil && strings.HasPrefix(r.URL.Path, pprofPath) {
		c = s.commands[pprofPath]
	}
	switch {
	case c == nil:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "invalid path. ")
		writeHelp(w, envoyCommands())
		return
	case c.mutates && r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		fmt.Fprintf(w, "Method %s not allowed, POST required.", r.Method)
		return
	case c.mutates:
		// A web page that somebody looks at must not stop a proxy on localhost.
		if err := s.origins.Check(r); err != nil {
			writeError(w, &pageError{http.StatusForbidden, err.Error() + "\n"})
			return
		}
		s.log.Info("admin request", "path", r.URL.RequestURI(), "peer", r.RemoteAddr)
	}
	if c.path != pprofPath { // a profile takes as long as it was asked to
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	answer := &answer{ResponseWriter: w}
	if err := c.serve(s, answer, r); err != nil && !answer.begun {
		writeError(w, err)
	}
}

// normalized is a path without dot segments and doubled slashes, which Envoy's
// admin takes out, too.
func normalized(p string) string {
	clean := path.Clean(p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean
}

// answer knows whether it has begun: an error after that is the client's
// having gone away.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the original.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// pageError is an answer other than 200.
type pageError struct {
	status int
	body   string
}

func (e *pageError) Error() string { return e.body }

func badRequest(format string, args ...any) error {
	return &pageError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

var errNotSupported = &pageError{http.StatusNotImplemented, "not supported by this instance\n"}

func writeError(w http.ResponseWriter, err error) {
	var page *pageError
	if !errors.As(err, &page) {
		page = &pageError{http.StatusServiceUnavailable, err.Error() + "\n"}
	}
	w.WriteHeader(page.status)
	fmt.Fprint(w, page.body)
}

// writeJSON writes v with Envoy's indentation.
func writeJSON(w http.ResponseWriter, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(b.Bytes())
	return err
}

// confirm is the answer of pages that only do something.
func confirm(w http.ResponseWriter) error {
	_, err := fmt.Fprint(w, "OK\n")
	return err
}
