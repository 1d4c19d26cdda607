package localratelimit

import (
	"container/list"
	"slices"
	"strings"
	"sync"

	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/tokenbucket"
)

// limits are token buckets: a common one, and one for each descriptor.
type limits struct {
	common      *tokenbucket.Bucket // nil: none
	always      bool                // take from the common one too when a descriptor has its own
	descriptors []descriptor
}

type descriptor struct {
	entries []route.DescriptorEntry
	bucket  *tokenbucket.Bucket
	dynamic *dynamic // not nil: entries without a value stand for any
	shadow  bool     // requests above the rate are only counted
}

// clone are full buckets of the same kinds.
func (l *limits) clone() *limits {
	c := &limits{always: l.always, descriptors: slices.Clone(l.descriptors)}
	if l.common != nil {
		c.common = l.common.Clone()
	}
	for i := range c.descriptors {
		d := &c.descriptors[i]
		d.bucket = d.bucket.Clone()
		if d.dynamic != nil {
			d.dynamic = newDynamic(d.dynamic.max)
		}
	}
	return c
}

// wanted is a request's descriptor and how many tokens it takes.
type wanted struct {
	entries  []route.DescriptorEntry
	hits     uint64
	xHeaders route.XRateLimit
}

// match is a wanted descriptor that has a bucket.
type match struct {
	bucket   *tokenbucket.Bucket
	hits     uint64
	xHeaders route.XRateLimit
	shadow   bool
}

// verdict is what became of a request: allowed, limited, or limited only by
// descriptors in shadow mode. The bucket is the one that decided, nil when
// there is none.
type verdict struct {
	match
	limited bool
}

// allow takes the request's tokens: from the buckets of its descriptors, the
// slowest first, and from the common one.
func (l *limits) allow(ds []wanted) verdict {
	var buf [8]match
	found := buf[:0]
	for i := range ds {
		if b, shadow := l.find(ds[i].entries); b != nil {
			found = append(found, match{b, ds[i].hits, ds[i].xHeaders, shadow})
		}
	}
	for i := 1; i < len(found); i++ { // few, and mostly in order
		for j := i; j > 0 && found[j].bucket.Rate() < found[j-1].bucket.Rate(); j-- {
			found[j], found[j-1] = found[j-1], found[j]
		}
	}
	common := match{bucket: l.common, hits: 1}
	decided := verdict{match: common}
	if len(found) > 0 {
		decided.match = found[0]
	}
	if l.common != nil && (len(found) == 0 || l.always) {
		found = append(found, common)
	}
	for _, m := range found {
		switch {
		case m.hits > 0 && m.bucket.Take(m.hits): // none at all is refused, as by Envoy
		case !m.shadow:
			return verdict{match: m, limited: true}
		case !decided.limited:
			decided = verdict{match: m, limited: true}
		}
	}
	return decided
}

// find is the bucket of a descriptor, and whether it only would limit.
func (l *limits) find(entries []route.DescriptorEntry) (b *tokenbucket.Bucket, shadow bool) {
	for i := range l.descriptors {
		if d := &l.descriptors[i]; d.dynamic == nil && slices.Equal(d.entries, entries) {
			return d.bucket, d.shadow
		}
	}
	for i := range l.descriptors {
		if d := &l.descriptors[i]; d.dynamic != nil && d.covers(entries) {
			return d.dynamic.bucket(entries, d.bucket), d.shadow
		}
	}
	return nil, false
}

// covers tells whether entries differ from the descriptor only where that
// leaves the value open.
func (d *descriptor) covers(entries []route.DescriptorEntry) bool {
	return slices.EqualFunc(d.entries, entries, func(own, e route.DescriptorEntry) bool {
		return own.Key == e.Key && (own.Value == "" || own.Value == e.Value)
	})
}

// dynamic are the buckets of one descriptor whose values requests give: those
// used last, as values are the clients' choice. It is the one place that
// workers lock.
type dynamic struct {
	max   int
	mu    sync.Mutex
	byKey map[string]*list.Element
	used  list.List // of *dynamicBucket, the latest first
}

type dynamicBucket struct {
	key    string
	bucket *tokenbucket.Bucket
}

func newDynamic(most int) *dynamic { return &dynamic{max: most, byKey: map[string]*list.Element{}} }

func (d *dynamic) bucket(entries []route.DescriptorEntry, like *tokenbucket.Bucket) *tokenbucket.Bucket {
	var text strings.Builder
	for _, e := range entries {
		text.WriteString(e.Value)
		text.WriteByte(0)
	}
	key := text.String()
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.byKey[key]; e != nil {
		d.used.MoveToFront(e)
		return e.Value.(*dynamicBucket).bucket
	}
	if len(d.byKey) >= d.max {
		last := d.used.Back()
		if last == nil {
			return nil
		}
		d.used.Remove(last)
		delete(d.byKey, last.Value.(*dynamicBucket).key)
	}
	b := like.Clone()
	d.byKey[key] = d.used.PushFront(&dynamicBucket{key, b})
	return b
}
