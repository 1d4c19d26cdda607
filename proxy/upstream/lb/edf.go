package lb

import "github.com/weirproxy/weir/proxy/upstream/cluster"

// edf is an earliest-deadline-first schedule: each pick puts its item back
// with a deadline 1/weight later, so that items come up in proportion to
// their weights, evenly interleaved.
type edf[T any] struct {
	heap []edfItem[T]
	now  float64
	seq  uint64 // items with the same deadline come in the order of entry
}

type edfItem[T any] struct {
	deadline float64
	seq      uint64
	item     T
}

func (e *edf[T]) add(weight float64, item T) {
	e.heap = append(e.heap, edfItem[T]{e.now + 1/weight, e.seq, item})
	e.seq++
	for i := len(e.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !e.less(i, parent) {
			break
		}
		e.heap[i], e.heap[parent] = e.heap[parent], e.heap[i]
		i = parent
	}
}

// pick takes the next item and puts it back with its weight of now.
func (e *edf[T]) pick(weight func(T) float64) T {
	top := &e.heap[0]
	e.now = top.deadline
	item := top.item
	top.deadline, top.seq = e.now+1/weight(item), e.seq
	e.seq++
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(e.heap) {
			break
		}
		if r := least + 1; r < len(e.heap) && e.less(r, least) {
			least = r
		}
		if !e.less(least, i) {
			break
		}
		e.heap[i], e.heap[least] = e.heap[least], e.heap[i]
		i = least
	}
	return item
}

func (e *edf[T]) less(i, j int) bool {
	a, b := &e.heap[i], &e.heap[j]
	return a.deadline < b.deadline || a.deadline == b.deadline && a.seq < b.seq
}

// sameWeights tells whether all hosts weigh the same.
func sameWeights(hosts []*cluster.Host) bool {
	for _, h := range hosts {
		if h.Weight() != hosts[0].Weight() {
			return false
		}
	}
	return true
}
