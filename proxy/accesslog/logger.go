package accesslog

import "github.com/weirproxy/weir/proxy/formatter"

// Logger logs what happened on streams.
type Logger interface {
	// Log adds a line for a stream, from the goroutine of the worker with
	// this number. It keeps nothing of c.
	Log(worker int, c *formatter.Context)
}

// Close ends loggers that nobody uses any more. Files stay open: they are the
// server's.
func Close(list []Logger) {
	for _, l := range list {
		if f, ok := l.(filtered); ok {
			l = f.Logger
		}
		if c, ok := l.(interface{ Close() }); ok {
			c.Close()
		}
	}
}

// filtered logs the streams that a filter takes.
type filtered struct {
	filter Filter
	Logger
}

func (l filtered) Log(worker int, c *formatter.Context) {
	if l.filter(c) {
		l.Logger.Log(worker, c)
	}
}

// fileLogger writes lines to a file.
type fileLogger struct {
	format *formatter.Formatter
	file   *File
}

func (l *fileLogger) Log(worker int, c *formatter.Context) { l.file.append(worker, l.format, c) }
