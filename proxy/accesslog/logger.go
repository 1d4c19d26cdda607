package accesslog

import "github.com/weirproxy/weir/proxy/formatter"

// Logger logs what happened on streams.
type Logger interface {
	// Log adds a line for a stream, from the goroutine of the worker with
	// this number. It keeps nothing of c.
	Log(worker int, c *formatter.Context)
}

// fileLogger writes lines to a file.
type fileLogger struct {
	filter Filter // nil: everything
	format *formatter.Formatter
	file   *File
}

func (l *fileLogger) Log(worker int, c *formatter.Context) {
	if l.filter == nil || l.filter(c) {
		l.file.append(worker, l.format, c)
	}
}
