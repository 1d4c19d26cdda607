package datasource

import (
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Limit bounds what Read reads, in bytes: enough for lists, pages and scripts,
// not for what would bind memory.
const Limit = 1 << 20

// Read is the content of the DataSource at p. It fails for one that names
// nothing, and for more than Limit bytes.
func Read(p field.Path, c *corev3.DataSource) (string, error) {
	return ReadAtMost(p, c, Limit)
}

// ReadAtMost is Read with another limit in bytes.
func ReadAtMost(p field.Path, c *corev3.DataSource, limit int64) (string, error) {
	if c.GetWatchedDirectory() != nil {
		return "", p.Errorf("weir does not support watched_directory here")
	}
	return ReadWatched(p, c, limit)
}

// ReadWatched is ReadAtMost for callers that follow the watched_directory of
// the source, if it has one, and read it again.
func ReadWatched(p field.Path, c *corev3.DataSource, limit int64) (string, error) {
	var content string
	switch s := c.GetSpecifier().(type) {
	case *corev3.DataSource_InlineString:
		content = s.InlineString
	case *corev3.DataSource_InlineBytes:
		content = string(s.InlineBytes)
	case *corev3.DataSource_EnvironmentVariable:
		v, ok := os.LookupEnv(s.EnvironmentVariable)
		if !ok {
			return "", p.Dot("environment_variable").Errorf("%q is not set", s.EnvironmentVariable)
		}
		content = v
	case *corev3.DataSource_Filename:
		return readFile(p.Dot("filename"), s.Filename, limit)
	default:
		return "", p.Errorf("one of filename, inline_bytes, inline_string and environment_variable is required")
	}
	if int64(len(content)) > limit {
		return "", p.Errorf("%d bytes; at most %d are allowed", len(content), limit)
	}
	return content, nil
}

// readFile asks for the size first, so that a file that is too large is not
// read to find that out.
func readFile(p field.Path, name string, limit int64) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", p.Wrap(err)
	}
	if info.Size() > limit {
		return "", p.Errorf("%s has %d bytes; at most %d are allowed", name, info.Size(), limit)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", p.Wrap(err)
	}
	// Pipes and the like have no size before they are read.
	if int64(len(content)) > limit {
		return "", p.Errorf("%s has %d bytes; at most %d are allowed", name, len(content), limit)
	}
	return string(content), nil
}
