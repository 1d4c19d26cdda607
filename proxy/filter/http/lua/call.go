package lua

import (
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// callOptions are httpCall's last arguments.
type callOptions struct {
	timeout      time.Duration
	asynchronous bool
	duplicates   bool // repeated headers come as lists
	external     bool // without x-forwarded-for
}

// httpCall implements handle:httpCall(cluster, headers, body, timeout_ms,
// asynchronous) and handle:httpCall(cluster, headers, body, options).
func httpCall(l *lua.LState) int {
	s := self[*side](l)
	cluster, payload := l.CheckString(2), optional(l, 4)
	headers := headerTable(l, l.CheckTable(3))
	o := callOptionsOf(l)
	client := s.f.client(s.f.cb.Worker())
	if !client.Has(cluster) {
		l.RaiseError("http call cluster invalid. Must be configured")
	}
	required := map[string]bool{":path": true, ":method": true, ":authority": true}
	for _, h := range headers {
		delete(required, h[0])
	}
	if len(required) > 0 {
		l.RaiseError("http call headers must include ':path', ':method', and ':authority'")
	}
	fill := func(h *http.HeaderMap) {
		// A table has no order; pseudo-headers come first.
		for _, pseudo := range []bool{true, false} {
			for _, x := range headers {
				if x[0] != "content-length" && (x[0][0] == ':') == pseudo {
					h.AddName(x[0], x[1])
				}
			}
		}
		if payload != "" {
			h.SetInt(http.ContentLength, int64(len(payload)))
		}
		if !o.external {
			h.Set(http.XEnvoyInternal, "true")
			h.Append(http.XForwardedFor, ",", s.f.localAddress.String())
		}
	}
	done := func(r *async.Response) { s.onCall(r, o.duplicates) }
	if o.asynchronous {
		done = func(*async.Response) {}
	}
	call := client.Send(cluster, async.Options{Timeout: o.timeout, Downstream: s.f.cb.Connection()}, fill, []byte(payload), done)
	if o.asynchronous {
		return 0
	}
	s.call, s.wait = call, forCall
	return l.Yield()
}

func callOptionsOf(l *lua.LState) (o callOptions) {
	t, ok := l.Get(5).(*lua.LTable)
	if !ok {
		o.timeout = time.Duration(l.CheckNumber(5)) * time.Millisecond
		switch v := l.Get(6).(type) {
		case lua.LBool:
			o.asynchronous = bool(v)
		default:
			if l.GetTop() > 5 {
				l.RaiseError("http call asynchronous flag must be 'true', 'false', or empty")
			}
		}
	} else {
		t.ForEach(func(k, v lua.LValue) {
			switch k.String() {
			case "timeout_ms":
				n, ok := v.(lua.LNumber)
				if !ok {
					l.RaiseError("timeout_ms must be a number")
				}
				o.timeout = time.Duration(n) * time.Millisecond
			case "asynchronous", "return_duplicate_headers", "send_xff", "trace_sampled":
			default:
				l.RaiseError("%q is not valid key for httpCall() options", k.String())
			}
		})
		o.asynchronous = lua.LVAsBool(t.RawGetString("asynchronous"))
		o.duplicates = lua.LVAsBool(t.RawGetString("return_duplicate_headers"))
		o.external = t.RawGetString("send_xff") == lua.LFalse
	}
	if o.timeout < 0 {
		l.RaiseError("http call timeout must be >= 0")
	}
	return o
}

// onCall gives the script the answer to its call.
func (s *side) onCall(r *async.Response, duplicates bool) {
	s.call = nil
	if s.dead || s.wait != forCall {
		return
	}
	headers := s.v.l.NewTable()
	for h := range r.Headers.All {
		name, value := strings.Clone(h.Name), text(h.Value)
		if old := headers.RawGetString(name); duplicates && old != lua.LNil {
			list, ok := old.(*lua.LTable)
			if !ok {
				list = s.v.l.NewTable()
				list.Append(old)
				headers.RawSetString(name, list)
			}
			list.Append(value)
			continue
		}
		headers.RawSetString(name, value)
	}
	var payload lua.LValue = lua.LNil
	if len(r.Body) > 0 {
		payload = lua.LString(r.Body)
	}
	s.resume(headers, payload)
	s.goOn()
}
