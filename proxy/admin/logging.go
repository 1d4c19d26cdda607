package admin

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

var levels = []string{"trace", "debug", "info", "warning", "error", "critical", "off"}

func (s *Server) logging(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Loggers == nil {
		return errNotSupported
	}
	changes, err := loggerChanges(r.URL.Query(), s.sources.Loggers.Levels())
	if err != nil {
		var b strings.Builder
		fmt.Fprintf(&b, "error: %v\n\nusage: /logging?<name>=<level> (change single level)\n"+
			"usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"+
			"usage: /logging?level=<level> (change all levels)\n"+
			"usage: /logging?group=<group_name>:<level> (change group of loggers)\n"+
			"levels: %s \n", err, strings.Join(levels, " "))
		s.writeLevels(&b)
		return badRequest("%s", b.String())
	}
	for _, c := range changes {
		s.sources.Loggers.SetLevel(c.Name, c.Level)
	}
	s.writeLevels(w)
	return nil
}

func (s *Server) writeLevels(w io.Writer) {
	fmt.Fprint(w, "active loggers:\n")
	for _, l := range s.sources.Loggers.Levels() {
		fmt.Fprintf(w, "  %s: %s\n", l.Name, l.Level)
	}
	fmt.Fprintln(w)
}

// loggerChanges reads the query: all of it is right, or nothing is changed.
func loggerChanges(q url.Values, current []LoggerLevel) ([]LoggerLevel, error) {
	// Without a value a parameter asks for nothing.
	maps.DeleteFunc(q, func(_ string, values []string) bool { return values[0] == "" })
	if len(q) > 1 {
		return nil, fmt.Errorf("invalid number of parameters")
	}
	var changes []LoggerLevel
	for key, values := range q {
		value := values[0]
		switch key {
		case "level":
			for _, l := range current {
				changes = append(changes, LoggerLevel{l.Name, value})
			}
			if !slices.Contains(levels, value) {
				return nil, fmt.Errorf("unknown logger level")
			}
		case "paths":
			for _, pair := range strings.Split(value, ",") {
				name, level, _ := strings.Cut(pair, ":")
				if name == "" || level == "" {
					return nil, fmt.Errorf("empty logger name or empty logger level")
				}
				changes = append(changes, LoggerLevel{name, level})
			}
		case "group":
			return nil, fmt.Errorf("group parameter requires fine-grain logging to be enabled")
		default:
			changes = append(changes, LoggerLevel{key, value})
		}
	}
	for _, c := range changes {
		if !slices.Contains(levels, c.Level) {
			return nil, fmt.Errorf("unknown logger level")
		}
		if !slices.ContainsFunc(current, func(l LoggerLevel) bool { return l.Name == c.Name }) {
			return nil, fmt.Errorf("unknown logger name")
		}
	}
	return changes, nil
}
