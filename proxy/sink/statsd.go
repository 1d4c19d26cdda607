package sink

import (
	"context"
	"net"
	"strconv"

	"github.com/weirproxy/weir/proxy/stats"
)

// statsd speaks the statsd protocol, with DogStatsD's or Graphite's tags if
// asked to.
type statsd struct {
	prefix  string // "envoy."
	tags    *tagFormat
	network string // "udp", "unixgram" or "tcp"
	address string
	// packet is how many bytes one write may have; 0: one statistic each.
	packet int
	dial   func(ctx context.Context) (net.Conn, error)

	conn  net.Conn // nil until it is used, and after an error
	last  deltas
	batch []byte
}

// tagFormat is how tags are written; nil: they stay within the name.
type tagFormat struct {
	begin, assign, next string
	afterName           bool // rather than at the line's end
}

var (
	dogTags      = &tagFormat{begin: "|#", assign: ":", next: ","}
	graphiteTags = &tagFormat{begin: ";", assign: "=", next: ";", afterName: true}
)

func (f *tagFormat) write(tags []stats.Tag) (out string) {
	for i, t := range tags {
		if i == 0 {
			out = f.begin
		} else {
			out += f.next
		}
		out += t.Name + f.assign + t.Value
	}
	return out
}

// streamPacket is how much of a stream is written at once.
const streamPacket = 16 << 10

// Flush implements Sink.
func (s *statsd) Flush(ctx context.Context, snapshot *stats.Snapshot) error {
	if s.conn == nil {
		conn, err := s.dial(ctx)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	if deadline, ok := ctx.Deadline(); ok {
		s.conn.SetWriteDeadline(deadline)
	}
	s.batch = s.batch[:0]
	for m := range snapshot.Used() {
		var err error
		switch m.Kind {
		case stats.CounterSample:
			err = s.add(m, strconv.FormatInt(s.last.of(m.Name, m.Value), 10), "|c")
		case stats.GaugeSample:
			err = s.add(m, strconv.FormatInt(m.Value, 10), "|g")
		default:
			err = s.addHistogram(m)
		}
		if err != nil {
			return s.fail(err)
		}
	}
	if err := s.write(); err != nil {
		return s.fail(err)
	}
	return nil
}

// addHistogram sends the interval's values as timings. Those that fell into
// one bucket are one line, with the sample rate that stands for their number.
func (s *statsd) addHistogram(m stats.Sample) error {
	for value, n := range m.Interval.Values {
		kind := "|ms"
		if n > 1 {
			kind += "|@" + strconv.FormatFloat(1/float64(n), 'g', -1, 64)
		}
		if err := s.add(m, strconv.FormatInt(int64(value+0.5), 10), kind); err != nil {
			return err
		}
	}
	return nil
}

func (s *statsd) add(m stats.Sample, value, kind string) error {
	var line string
	switch {
	case s.tags == nil:
		line = s.prefix + m.Name + ":" + value + kind
	case s.tags.afterName:
		line = s.prefix + m.Tagless + s.tags.write(m.Tags) + ":" + value + kind
	default:
		line = s.prefix + m.Tagless + ":" + value + kind + s.tags.write(m.Tags)
	}
	if len(s.batch) > 0 && len(s.batch)+1+len(line) > s.packet {
		if err := s.write(); err != nil {
			return err
		}
	}
	if s.network == "tcp" {
		s.batch = append(append(s.batch, line...), '\n')
		return nil
	}
	if len(s.batch) > 0 {
		s.batch = append(s.batch, '\n')
	}
	s.batch = append(s.batch, line...)
	return nil
}

func (s *statsd) write() error {
	if len(s.batch) == 0 {
		return nil
	}
	_, err := s.conn.Write(s.batch)
	s.batch = s.batch[:0]
	if s.network != "tcp" {
		return nil // nobody listens: Envoy doesn't care either
	}
	return err
}

func (s *statsd) fail(err error) error {
	s.Close()
	return err
}

// Close implements Sink.
func (s *statsd) Close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
