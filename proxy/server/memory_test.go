package server

import "testing"

func TestPace(t *testing.T) {
	for live, want := range map[uint64]uint64{
		0: 100, 1: 1000, 1 << 20: 1000, 4 << 20: 400, 5 << 20: 400, 9 << 20: 200, 16 << 20: 100, 1 << 30: 100,
	} {
		if got := pace(live); got != want {
			t.Errorf("%d bytes live: %d %%, want %d", live, got, want)
		}
	}
}
