package lua

import (
	"encoding/base64"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// handleMethods are what the handle given to a script can do.
var handleMethods = map[string]lua.LGFunction{
	"headers": func(l *lua.LState) int {
		s := self[*side](l)
		if s.wrapped == nil {
			s.wrapped = s.v.wrap(l, headersType, &headerMap{s, s.headers})
		}
		return push(l, s.wrapped)
	},
	"body":       getBody,
	"bodyChunks": getBodyChunks,
	"trailers":   getTrailers,
	"httpCall":   httpCall,
	"respond":    respond,

	"metadata": func(l *lua.LState) int {
		s := self[*side](l)
		return push(l, s.v.wrap(l, metadataType, &metadata{s, s.f.routeMetadata()}))
	},
	"streamInfo": func(l *lua.LState) int { s := self[*side](l); return push(l, s.v.wrap(l, infoType, &info{s})) },
	"connection": func(l *lua.LState) int {
		s := self[*side](l)
		return push(l, s.v.wrap(l, connectionType, &connection{s}))
	},
	"filterContext": func(l *lua.LState) int {
		s := self[*side](l)
		return push(l, s.v.wrap(l, metadataType, &metadata{s, s.f.filterContext()}))
	},
	"virtualHost": func(l *lua.LState) int {
		s := self[*side](l)
		return push(l, s.v.wrap(l, metadataSourceType, &metadataSource{s, true}))
	},
	"route": func(l *lua.LState) int {
		s := self[*side](l)
		return push(l, s.v.wrap(l, metadataSourceType, &metadataSource{s, false}))
	},
	"connectionStreamInfo": func(l *lua.LState) int {
		s := self[*side](l)
		return push(l, s.v.wrap(l, connectionInfoType, &connectionInfo{s}))
	},
	"setUpstreamOverrideHost": func(l *lua.LState) int {
		s, host, strict := self[*side](l), l.CheckString(2), l.OptBool(3, false)
		if s.response {
			return 0 // there is no choice any more
		}
		if _, err := netip.ParseAddrPort(host); err != nil {
			if _, err := netip.ParseAddr(host); err != nil {
				l.RaiseError("host is not a valid IP address")
			}
		}
		i := s.f.cb.StreamInfo()
		i.OverrideHost, i.OverrideStrict = strings.Clone(host), strict
		return 0
	},
	"clearRouteCache": func(l *lua.LState) int {
		self[*side](l).f.cb.ClearRouteCache()
		return 0
	},

	"logTrace":    logAt(levelTrace),
	"logDebug":    logAt(slog.LevelDebug),
	"logInfo":     logAt(levelInfo),
	"logWarn":     logAt(slog.LevelWarn),
	"logErr":      logAt(slog.LevelError),
	"logCritical": logAt(levelCritical),

	"base64Escape": func(l *lua.LState) int {
		return push(l, lua.LString(base64.StdEncoding.EncodeToString([]byte(l.CheckString(2)))))
	},
	"timestamp":       timestamp,
	"timestampString": timestampString,
	"importPublicKey": importPublicKey,
	"verifySignature": verifySignature,
}

const (
	levelTrace    = slog.LevelDebug - 4
	levelInfo     = slog.LevelInfo
	levelCritical = slog.LevelError + 4
)

// maxLine bounds a line that a script logs, in bytes.
const maxLine = 16 << 10

// logAt is a handle's function that logs at a level.
func logAt(level slog.Level) lua.LGFunction {
	return func(l *lua.LState) int { return logTo(self[*side](l).v.log, l, level, 2) }
}

// logTo has a script log its argument n.
func logTo(log *slog.Logger, l *lua.LState, level slog.Level, n int) int {
	line := argument(l, n)
	log.Log(l.Context(), level, "script log: "+line[:min(len(line), maxLine)])
	return 0
}

func push(l *lua.LState, v lua.LValue) int {
	l.Push(v)
	return 1
}

func getBody(l *lua.LState) int {
	s := self[*side](l)
	always := l.OptBool(2, false)
	if s.end {
		if s.buffered() == nil && s.body == nil {
			if s.sawBody {
				l.RaiseError("cannot call body() after body has been streamed")
			}
			if !always {
				return 0
			}
			s.added = s.f.cb.Loop().NewBuffer()
			s.body = s.added
		}
		return push(l, s.wholeBody()[0])
	}
	if s.sawBody {
		l.RaiseError("cannot call body() after body streaming has started")
	}
	s.wait = forBody
	return l.Yield()
}

func getBodyChunks(l *lua.LState) int {
	s := self[*side](l)
	if s.sawBody {
		l.RaiseError("cannot call bodyChunks after body processing has begun")
	}
	return push(l, l.NewFunction(func(l *lua.LState) int {
		if s.dead {
			l.RaiseError("object used outside of proper scope")
		}
		if s.end {
			return push(l, lua.LNil)
		}
		s.wait = forChunk
		return l.Yield()
	}))
}

func getTrailers(l *lua.LState) int {
	s := self[*side](l)
	switch {
	case s.trailers != nil:
		return push(l, s.v.wrap(l, headersType, &headerMap{s, s.trailers}))
	case s.end:
		return 0
	}
	s.wait = forTrailers
	return l.Yield()
}

func respond(l *lua.LState) int {
	s := self[*side](l)
	if s.continued {
		l.RaiseError("respond() cannot be called if headers have been continued")
	}
	r := &reply{body: optional(l, 3)}
	for _, h := range headerTable(l, l.CheckTable(2)) {
		if h[0] == ":status" {
			r.status, _ = strconv.Atoi(h[1])
		} else if h[0] != "" && h[0][0] != ':' {
			r.headers = append(r.headers, h)
		}
	}
	if r.status < 200 || r.status > 599 {
		l.RaiseError(":status must be between 200-599")
	}
	if s.response {
		l.RaiseError("respond not currently supported in the response path")
	}
	s.reply, s.wait = r, forEver
	return l.Yield()
}

func timestamp(l *lua.LState) int {
	s := self[*side](l)
	if v := l.Get(2); v != lua.LNil && v != lua.LNumber(0) {
		l.RaiseError("timestamp format must be MILLISECOND.")
	}
	return push(l, lua.LNumber(now(s).UnixMilli()))
}

func timestampString(l *lua.LState) int {
	s := self[*side](l)
	t := now(s)
	switch l.OptInt(2, 0) {
	case 0:
		return push(l, lua.LString(strconv.FormatInt(t.UnixMilli(), 10)))
	case 1:
		return push(l, lua.LString(strconv.FormatInt(t.UnixMicro(), 10)))
	}
	l.RaiseError("timestamp format must be MILLISECOND or MICROSECOND.")
	return 0
}

func now(s *side) time.Time { return s.f.cb.Loop().Time() }
