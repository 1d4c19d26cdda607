package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/weirproxy/weir/internal/field"
)

// logFormat is a pattern of application_log_config, in spdlog's flags.
type logFormat struct {
	pieces []logPiece
	json   bool // messages are escaped for JSON
}

// logPiece is text, or a flag.
type logPiece struct {
	text string
	flag byte // 0: text
}

// logFlags are the flags that weir knows.
const logFlags = "YymdHIMSTRDaAbBpzcefFEnlLtPv_+gs#!%"

// applicationLog compiles application_log_config; nil leaves the format as it is.
func applicationLog(p field.Path, c *bootstrapv3.Bootstrap_ApplicationLogConfig) (*logFormat, error) {
	if c.GetLogFormat() == nil {
		return nil, field.Only(p, c, "log_format")
	}
	p = p.Dot("log_format")
	switch f := c.GetLogFormat().GetLogFormat().(type) {
	case *bootstrapv3.Bootstrap_ApplicationLogConfig_LogFormat_TextFormat:
		return newLogFormat(p.Dot("text_format"), f.TextFormat, false)
	case *bootstrapv3.Bootstrap_ApplicationLogConfig_LogFormat_JsonFormat:
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(f.JsonFormat.AsMap()); err != nil {
			return nil, p.Wrap(err)
		}
		return newLogFormat(p.Dot("json_format"), strings.TrimSpace(text.String()), true)
	}
	return nil, p.Errorf("needs text_format or json_format")
}

func newLogFormat(p field.Path, pattern string, escape bool) (*logFormat, error) {
	f := &logFormat{json: escape}
	for {
		text, rest, ok := strings.Cut(pattern, "%")
		if text != "" {
			f.pieces = append(f.pieces, logPiece{text: text})
		}
		if !ok {
			return f, nil
		}
		rest = strings.TrimLeft(rest, "-=0123456789!") // alignment and width
		if rest == "" {
			return nil, p.Errorf("ends in %%")
		}
		flag := rest[0]
		if flag == 'j' {
			flag = 'v' // the message, escaped for JSON
			f.json = true
		}
		if strings.IndexByte(logFlags, flag) < 0 || flag == ' ' {
			return nil, p.Errorf("weir does not know the flag %%%c", flag)
		}
		f.pieces = append(f.pieces, logPiece{flag: flag})
		pattern = rest[1:]
	}
}

// formatHandler writes records in a logFormat.
type formatHandler struct {
	f      *logFormat
	w      io.Writer
	mu     *sync.Mutex
	attrs  []slog.Attr
	logger string
}

func (h *formatHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *formatHandler) WithAttrs(a []slog.Attr) slog.Handler {
	next := *h
	for _, x := range a {
		if x.Key == "logger" {
			next.logger = x.Value.String()
		} else {
			next.attrs = append(slices.Clip(next.attrs), x)
		}
	}
	return &next
}

func (h *formatHandler) WithGroup(string) slog.Handler { return h }

func (h *formatHandler) Handle(_ context.Context, r slog.Record) error {
	var b []byte
	for _, p := range h.f.pieces {
		if p.flag == 0 {
			b = append(b, p.text...)
		} else {
			b = h.appendFlag(b, p.flag, &r)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(append(b, '\n'))
	return err
}

// timeFlags are the flags that are parts of the time, as Go's layouts.
var timeFlags = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'p': "PM", 'z': "-07:00", 'c': "Mon Jan _2 15:04:05 2006",
}

func (h *formatHandler) appendFlag(b []byte, flag byte, r *slog.Record) []byte {
	if layout := timeFlags[flag]; layout != "" {
		return r.Time.AppendFormat(b, layout)
	}
	switch flag {
	case 'e':
		return fmt.Appendf(b, "%03d", r.Time.Nanosecond()/int(time.Millisecond))
	case 'f':
		return fmt.Appendf(b, "%06d", r.Time.Nanosecond()/int(time.Microsecond))
	case 'F':
		return fmt.Appendf(b, "%09d", r.Time.Nanosecond())
	case 'E':
		return strconv.AppendInt(b, r.Time.Unix(), 10)
	case 'n':
		return append(b, h.logger...)
	case 'l':
		return append(b, levelName(r.Level)...)
	case 'L':
		return append(b, strings.ToUpper(levelName(r.Level))[0])
	case 't', 'P': // goroutines have no numbers
		return strconv.AppendInt(b, int64(os.Getpid()), 10)
	case 'v', '_', '+':
		return h.appendMessage(b, r)
	case 'g', 's', '#', '!':
		return appendSource(b, flag, r.PC)
	case '%':
		return append(b, '%')
	}
	return b
}

// appendMessage appends the message and, as key=value, what was given with it.
func (h *formatHandler) appendMessage(b []byte, r *slog.Record) []byte {
	text := []byte(r.Message)
	add := func(a slog.Attr) bool {
		text = fmt.Appendf(text, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	if !h.f.json {
		return append(b, text...)
	}
	quoted, err := json.Marshal(string(text))
	if err != nil {
		return b
	}
	return append(b, quoted[1:len(quoted)-1]...)
}

func appendSource(b []byte, flag byte, pc uintptr) []byte {
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	switch flag {
	case '#':
		return strconv.AppendInt(b, int64(f.Line), 10)
	case '!':
		return append(b, f.Function...)
	case 's':
		return append(b, f.File[strings.LastIndexByte(f.File, '/')+1:]...)
	}
	return append(b, f.File...)
}
