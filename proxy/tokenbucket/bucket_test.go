package tokenbucket

import (
	"strings"
	"sync"
	"testing"
	"time"

	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestBucket(t *testing.T) {
	b, now := New(3, 2, time.Second), 0.0
	b.now = func() float64 { return now }
	b.reset()
	for i := range 3 {
		if !b.Take(1) {
			t.Fatalf("token %d", i)
		}
	}
	if b.Take(1) || b.Remaining() != 0 || b.NextToken() != time.Second/2 {
		t.Errorf("empty: %d left, the next in %v", b.Remaining(), b.NextToken())
	}
	now = 0.5
	if !b.Take(1) || b.Take(1) {
		t.Error("half a second is one token")
	}
	now = 100
	if b.Remaining() != 3 || b.NextToken() != 0 || b.Take(4) || !b.Take(3) {
		t.Error("a bucket holds no more than it can")
	}
	now = 200
	if b.TakeSome(2) != 2 || b.TakeSome(2) != 1 || b.TakeSome(2) != 0 {
		t.Error("some is not what is there")
	}
	if c := b.Clone(); c.Remaining() != 3 || c.Max() != 3 || c.Rate() != 2 {
		t.Error("the clone differs")
	}
}

func TestTakenTogether(t *testing.T) {
	b := New(1000, 1, time.Hour)
	var wait sync.WaitGroup
	taken := make([]int, 4)
	for i := range taken {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 500 {
				if b.Take(1) {
					taken[i]++
				}
			}
		}()
	}
	wait.Wait()
	if n := taken[0] + taken[1] + taken[2] + taken[3]; n != 1000 {
		t.Errorf("%d tokens of 1000", n)
	}
}

func TestRefused(t *testing.T) {
	for want, m := range map[string]*typev3.TokenBucket{
		"p.fill_interval: must be at least 50ms": {MaxTokens: 1, FillInterval: durationpb.New(49 * time.Millisecond)},
		"p.tokens_per_fill":                      {FillInterval: durationpb.New(time.Second), TokensPerFill: wrapperspb.UInt32(0)},
	} {
		if _, err := Compile("p", m, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", m, err, want)
		}
	}
}
