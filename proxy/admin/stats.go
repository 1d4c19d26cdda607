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
	if err := snapshot.WritePrometheus(w, options); errors.Is(err, stats.ErrPrometheusBuckets) {
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

// recentLookups stands for Envoy's four pages about looking up names of
// statistics while serving, which costs Envoy a lock.
func (s *Server) recentLookups(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Path != "/stats/recentlookups" {
		return &pageError{http.StatusNotImplemented, "weir never looks up the name of a statistic while serving: there is nothing to record\n"}
	}
	_, err := fmt.Fprint(w, "weir never looks up the name of a statistic while serving.\n\ntotal: 0\n")
	return err
}
