package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// screen writes the story. err is the first error of writing it.
type screen struct {
	out     io.Writer
	colours bool
	start   time.Time
	err     error
}

func newScreen(f *os.File) *screen {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &screen{out: f, colours: err == nil && os.Getenv("NO_COLOR") == "", start: time.Now()}
}

// SGR parameters (ECMA-48).
const (
	bold  = "1"
	dim   = "2"
	green = "32"
	cyan  = "36"
)

func (s *screen) paint(colour, text string) string {
	if !s.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (s *screen) line(text string) {
	if _, err := fmt.Fprintln(s.out, text); err != nil && s.err == nil {
		s.err = err
	}
}

func (s *screen) title(n int, text string) {
	s.line("\n" + s.paint(bold+";"+cyan, fmt.Sprintf("── %d. %s ", n, text)+strings.Repeat("─", max(3, 72-len(text)))))
}

// say explains.
func (s *screen) say(format string, args ...any) {
	s.line("   " + fmt.Sprintf(format, args...))
}

// command shows what is run.
func (s *screen) command(where, text string) {
	s.line("   " + s.paint(dim, where+"$ ") + s.paint(bold, text))
}

// output shows what a command wrote.
func (s *screen) output(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		s.line("   " + s.paint(dim, "│ ") + strings.TrimRight(line, "\n"))
	}
}

// true tells what has been checked.
func (s *screen) isTrue(format string, args ...any) {
	s.line("   " + s.paint(green, "✓ ") + fmt.Sprintf(format, args...))
}
