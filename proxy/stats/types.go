package stats

// Counter only grows. The zero value counts from 0.
type Counter uint64

// Inc adds one.
func (c *Counter) Inc() { *c++ }

// Add adds n.
func (c *Counter) Add(n uint64) { *c += Counter(n) }

// Value is this owner's part of the count.
func (c *Counter) Value() uint64 { return uint64(*c) }

// Gauge goes up and down. The page shows the sum over the owners, so Set is
// for gauges that a single owner writes.
type Gauge struct {
	// The value is shifted by one bit: the lowest bit says that the gauge has
	// been written, which `usedonly` needs to know after it went back to 0.
	bits int64
}

// Inc adds one.
func (g *Gauge) Inc() { g.Add(1) }

// Dec subtracts one.
func (g *Gauge) Dec() { g.Add(-1) }

// Add adds n, which may be negative.
func (g *Gauge) Add(n int64) { g.bits = (g.bits + n<<1) | 1 }

// Set replaces the value.
func (g *Gauge) Set(n int64) { g.bits = n<<1 | 1 }

// Value is this owner's part of the sum.
func (g *Gauge) Value() int64 { return g.bits >> 1 }

func (g *Gauge) used() bool { return g.bits&1 != 0 }

// Text is a text readout: a string shown among the numbers.
type Text struct {
	s    string
	used bool
}

// Set replaces the text.
func (t *Text) Set(s string) { t.s, t.used = s, true }

// Value is the text last set.
func (t *Text) Value() string { return t.s }

// Codes counts responses by status code. With the tag `stat:"upstream_rq_"`
// the page shows upstream_rq_200, the class upstream_rq_2xx and the sum
// upstream_rq_completed, each from the first response it counts.
type Codes struct {
	// Few codes are ever seen, and the first ones most: a scan beats a map.
	seen []codeCount
}

type codeCount struct {
	code uint16
	n    uint64
}

// Inc counts one response. Codes outside 100 to 999 are not counted: nothing
// that parses a status line or :status yields them. It allocates only for a
// code never seen before.
func (c *Codes) Inc(code int) {
	for i := range c.seen {
		if int(c.seen[i].code) == code {
			c.seen[i].n++
			return
		}
	}
	if code >= 100 && code <= 999 {
		c.seen = append(c.seen, codeCount{uint16(code), 1})
	}
}

// unnamed counts responses whose code is not told.
const unnamed = 0

// IncUnnamed counts one response without telling its code.
func (c *Codes) IncUnnamed() {
	for i := range c.seen {
		if c.seen[i].code == unnamed {
			c.seen[i].n++
			return
		}
	}
	c.seen = append(c.seen, codeCount{unnamed, 1})
}

// Value is this owner's count of one code.
func (c *Codes) Value(code int) uint64 {
	for _, s := range c.seen {
		if int(s.code) == code {
			return s.n
		}
	}
	return 0
}
