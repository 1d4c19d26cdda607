// Package eventlog writes the lines of health checks and outlier detection to
// files. Main hands lines over and never waits for the disk: a [Log] that
// falls behind loses lines.
package eventlog

import (
	"os"
	"sync/atomic"
)

// Log is one file, open for appending.
type Log struct {
	lines chan []byte
	done  chan struct{}
	lost  atomic.Uint64
}

// maxWaiting bounds the lines that a stuck disk holds up.
const maxWaiting = 1024

// Open opens the file, or makes it.
func Open(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	l := &Log{lines: make(chan []byte, maxWaiting), done: make(chan struct{})}
	go l.run(f)
	return l, nil
}

func (l *Log) run(f *os.File) {
	defer close(l.done)
	defer f.Close()
	for line := range l.lines {
		if _, err := f.Write(line); err != nil {
			l.lost.Add(1)
		}
	}
}

// Write takes a line, with its newline at the end. The line is the log's then.
func (l *Log) Write(line []byte) {
	select {
	case l.lines <- line:
	default:
		l.lost.Add(1)
	}
}

// Lost is how many lines could not be written.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Close writes what waits and closes the file. No Write may follow.
func (l *Log) Close() {
	close(l.lines)
	<-l.done
}
