package extauthz

import (
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// httpService is an HttpService compiled.
type httpService struct {
	cluster string
	timeout time.Duration
	prefix  string // of the request's path
	// override stands for the request's path, "" for none.
	override string
	add      []addedHeader
	retry    *async.Retry

	upstream, upstreamAppend, client, clientOnSuccess, metadata []matcher.String
}

type addedHeader struct {
	name   string
	format *formatter.Formatter
}

func (s *httpService) http() bool { return true }

// check implements service: the request's head goes to the server, which
// answers 200 to allow it.
func (s *httpService) check(f *filter) func() {
	o := async.Options{Timeout: s.timeout, Downstream: f.cb.Connection(), Retry: s.retry}
	r := f.client.Send(s.cluster, o, func(h *http.HeaderMap) { s.fill(h, f) }, f.body, func(r *async.Response) { f.onVerdict(s.verdict(r)) })
	if r == nil {
		f.later(&verdict{})
		return nil
	}
	return r.Cancel
}

func (s *httpService) fill(h *http.HeaderMap, f *filter) {
	h.Add(http.ContentLength, "0")
	for name, value := range f.headers {
		switch {
		case name == "content-length":
		case name == ":path" && s.override != "":
			h.Add(http.Path, s.override)
		case name == ":path":
			h.Add(http.Path, h.Concat(s.prefix, value))
		default:
			h.AddName(name, value)
		}
	}
	for _, a := range s.add {
		h.SetName(a.name, h.Own(a.format.Format(f.formatContext())))
	}
}

const headersToRemove = "x-envoy-auth-headers-to-remove"

func (s *httpService) verdict(r *async.Response) *verdict {
	if r.Local || r.Status == 0 || r.Status >= 500 {
		return &verdict{}
	}
	v := &verdict{status: r.Status}
	if r.Status != 200 {
		v.outcome, v.body = authz.Denied, string(r.Body)
		for l := range r.Headers.All {
			if s.toClient(l) {
				v.response = append(v.response, change{strings.Clone(l.Name), strings.Clone(l.Value), set})
			}
		}
		return v
	}
	v.outcome = authz.Allowed
	if list, ok := r.Headers.Joined(headersToRemove); ok {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				v.remove = append(v.remove, name)
			}
		}
	}
	for l := range r.Headers.All {
		if l.Name == headersToRemove {
			continue
		}
		name, value := strings.Clone(l.Name), strings.Clone(l.Value)
		if matches(s.upstream, name) {
			v.request = append(v.request, change{name, value, set})
		}
		if matches(s.upstreamAppend, name) {
			v.request = append(v.request, change{name, value, add})
		}
		if matches(s.clientOnSuccess, name) {
			v.response = append(v.response, change{name, value, add})
		}
		if matches(s.metadata, name) {
			if v.metadata == nil {
				v.metadata = map[string]any{}
			}
			v.metadata[name] = value
		}
	}
	return v
}

// toClient tells whether a header of a denial is passed on.
func (s *httpService) toClient(l *http.Header) bool {
	switch l.ID {
	case http.ContentLength, http.Status, http.TransferEncoding:
		return false // they follow from the answer
	}
	if len(s.client) == 0 {
		return true
	}
	return l.ID == http.Location || l.Name == "www-authenticate" || l.ID == http.ProxyAuthenticate || matches(s.client, l.Name)
}

func matches(list []matcher.String, s string) bool {
	for i := range list {
		if list[i].Match(s) {
			return true
		}
	}
	return false
}
