package extproc

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
)

// overrideModes takes the modes that the processor asks for.
func (f *filter) overrideModes(r *reply) {
	if r.mode == nil || !f.allowOverride || f.sendEarly || f.mode[request].body == duplex || f.mode[response].body == duplex {
		return
	}
	m := r.mode(f.mode)
	m[request].headers = f.now[request].headers // they are past
	if len(f.overrides) > 0 && !slices.ContainsFunc(f.overrides, func(x mode) bool { x[request].headers = m[request].headers; return x == m }) {
		return
	}
	f.now = m
}

// route has the route looked up anew where the reply asks for it.
func (f *filter) route(d direction, r *reply) {
	changed := len(r.set) > 0 || len(r.remove) > 0
	switch {
	case d == response:
	case f.clearRoute && changed:
		f.cb.ClearRouteCache()
	case r.clear && f.keepRoute:
		f.stats.ClearRouteCacheDisabled.Inc()
	case r.clear && !changed:
		f.stats.ClearRouteCacheIgnored.Inc()
	case r.clear:
		f.cb.ClearRouteCache()
	}
}

// apply changes headers or trailers as a reply says; false when the reply
// orders what it must not and the stream has failed.
func (f *filter) apply(h *http.HeaderMap, r *reply) bool {
	p, effect := &f.phases[r.direction], &f.logging.effects[r.direction][r.kind]
	changed, details := f.change(h, r)
	switch {
	case details != "":
		*effect = rejected
		p.note(r.kind, invalidArgument)
		f.fail(f.errorStatus, details)
		return false
	case changed:
		*effect = mutated
	}
	p.note(r.kind, grpc.OK)
	if r.hasBody || r.replace {
		f.logging.effects[r.direction][body] = mutated
	}
	return true
}

// change makes a reply's changes up to one that is an error, which it names.
func (f *filter) change(h *http.HeaderMap, r *reply) (changed bool, details string) {
	for _, name := range r.remove {
		switch f.rules.Remove(name) {
		case headerrules.Allow:
			_, there := h.GetName(name)
			changed = changed || there
			h.RemoveName(name)
		case headerrules.Fail:
			f.stats.RejectedHeaderMutations.Inc()
			return changed, "header_mutation_remove_headers_failed"
		default:
			f.stats.RejectedHeaderMutations.Inc()
		}
	}
	for _, c := range r.set {
		if c.name == "" || strings.ContainsAny(c.value, "\r\n\x00") || strings.ContainsAny(c.name, " \r\n\x00") {
			f.stats.RejectedHeaderMutations.Inc()
			return changed, "header_mutation_set_contains_invalid_character"
		}
		verdict := f.rules.Set(c.name)
		if c.name == ":status" && !finalStatus(c.value) {
			verdict = headerrules.Ignore
		}
		switch verdict {
		case headerrules.Allow:
			set(h, c)
			changed = true
		case headerrules.Fail:
			f.stats.RejectedHeaderMutations.Inc()
			return changed, "header_mutation_set_headers_failed"
		default:
			f.stats.RejectedHeaderMutations.Inc()
		}
	}
	return changed, ""
}

// finalStatus tells whether a response can have the status.
func finalStatus(s string) bool {
	n, err := strconv.ParseUint(s, 10, 32)
	return err == nil && n >= 200
}

func set(h *http.HeaderMap, c change) {
	if c.append {
		h.AddJoined(h.Own(c.name), h.Own(c.value))
	} else {
		h.SetName(h.Own(c.name), h.Own(c.value))
	}
}
