package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/weirproxy/weir/proxy/stats"
)

func (s *Server) stats(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	format := q.Get("format")
	switch format {
	case "prometheus":
		return s.prometheus(w, r)
	case "", "text", "json", "html", "active-html":
	default:
		return badRequest("usage: /stats?format=(html|active-html|json|prometheus|text)\n\n")
	}
	snapshot, options, err := s.snapshot(r, q)
	if err != nil {
		return err
	}
	if options.Buckets == stats.Native {
		return badRequest("%v", stats.ErrOnlyPrometheus)
	}
	switch format {
	case "json":
		w.Header().Set("Content-Type", "application/json")
		return snapshot.WriteJSON(w, options)
	case "html", "active-html":
		return s.statsPage(w, r, snapshot, options)
	default:
		return snapshot.WriteText(w, options)
	}
}

func (s *Server) prometheus(w http.ResponseWriter, r *http.Request) error {
	snapshot, options, err := s.snapshot(r, r.URL.Query())
	if err != nil {
		return err
	}
	if err := snapshot.WritePrometheus(w, options); errors.Is(err, stats.ErrPrometheusBuckets) || errors.Is(err, stats.ErrNativeBuckets) {
		return badRequest("%v", err)
	} else {
		return err
	}
}

func (s *Server) snapshot(r *http.Request, q url.Values) (*stats.Snapshot, stats.Options, error) {
	options, err := stats.ParseOptions(q)
	if err != nil {
		return nil, options, badRequest("%v", err)
	}
	if s.sources.Stats == nil {
		return nil, options, errNotSupported
	}
	snapshot, err := s.sources.Stats.Snapshot(r.Context())
	return snapshot, options, err
}

func (s *Server) resetCounters(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Stats == nil {
		return errNotSupported
	}
	if err := s.sources.Stats.ResetCounters(r.Context()); err != nil {
		return err
	}
	return confirm(w)
}

// recentLookups are Envoy's pages about names of statistics that are looked up
// while serving. Weir looks up none: there is never one to show.
func (s *Server) recentLookups(w http.ResponseWriter, _ *http.Request) error {
	if s.lookups.Load() {
		fmt.Fprint(w, "   Count Lookup\n")
	} else {
		fmt.Fprint(w, "Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n")
	}
	_, err := fmt.Fprint(w, "\ntotal: 0\n")
	return err
}

func (s *Server) clearLookups(w http.ResponseWriter, _ *http.Request) error { return confirm(w) }

func (s *Server) enableLookups(w http.ResponseWriter, _ *http.Request) error {
	s.lookups.Store(true)
	return confirm(w)
}

func (s *Server) disableLookups(w http.ResponseWriter, _ *http.Request) error {
	s.lookups.Store(false)
	return confirm(w)
}
