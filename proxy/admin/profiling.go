package admin

import (
	"fmt"
	"net/http"
	httppprof "net/http/pprof"
	"os"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"sync"
)

const pprofPath = "/debug/pprof/"

func (s *Server) pprof(w http.ResponseWriter, r *http.Request) error {
	w.Header().Del("Content-Type")
	switch r.URL.Path[len(pprofPath):] {
	case "cmdline":
		httppprof.Cmdline(w, r)
	case "profile":
		httppprof.Profile(w, r)
	case "symbol":
		httppprof.Symbol(w, r)
	case "trace":
		httppprof.Trace(w, r)
	default:
		httppprof.Index(w, r)
	}
	return nil
}

// memory is an envoy.admin.v3.Memory of the Go heap.
func (s *Server) memory(w http.ResponseWriter, _ *http.Request) error {
	const classes = "/memory/classes/"
	sample := []metrics.Sample{{Name: classes + "heap/objects:bytes"}, {Name: classes + "heap/free:bytes"}, {Name: classes + "heap/released:bytes"},
		{Name: classes + "heap/unused:bytes"}, {Name: classes + "total:bytes"}}
	metrics.Read(sample)
	value := func(i int) uint64 { return sample[i].Value.Uint64() }
	text := func(n uint64) string { return strconv.FormatUint(n, 10) }
	objects, free, released, unused, total := value(0), value(1), value(2), value(3), value(4)
	return writeJSON(w, struct {
		Allocated          string `json:"allocated"`
		HeapSize           string `json:"heap_size"`
		PageheapUnmapped   string `json:"pageheap_unmapped"`
		PageheapFree       string `json:"pageheap_free"`
		TotalThreadCache   string `json:"total_thread_cache"`
		TotalPhysicalBytes string `json:"total_physical_bytes"`
	}{text(objects), text(objects + free + unused), text(released), text(free), text(unused), text(total - released)})
}

// memoryDetails is the Go allocator's own account, where Envoy has TCMalloc's.
func (s *Server) memoryDetails(w http.ResponseWriter, _ *http.Request) error {
	var samples []metrics.Sample
	for _, d := range metrics.All() {
		if d.Kind == metrics.KindUint64 {
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
	metrics.Read(samples)
	for _, m := range samples {
		fmt.Fprintf(w, "%-60s %d\n", m.Name, m.Value.Uint64())
	}
	return nil
}

func (s *Server) heapDump(w http.ResponseWriter, _ *http.Request) error {
	return pprof.Lookup("heap").WriteTo(w, 0)
}

func (s *Server) peakHeapDump(http.ResponseWriter, *http.Request) error {
	return &pageError{http.StatusNotImplemented, "The current build does not support heap profiler: Go keeps no peak; see /heap_dump and " + pprofPath}
}

func (s *Server) contention(w http.ResponseWriter, _ *http.Request) error {
	profile := pprof.Lookup("mutex")
	if profile.Count() == 0 {
		_, err := fmt.Fprint(w, "Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.")
		return err
	}
	return profile.WriteTo(w, 1)
}

func (s *Server) allocProfiler(w http.ResponseWriter, r *http.Request) error {
	return alwaysProfiled(w, r)
}

func (s *Server) heapProfiler(w http.ResponseWriter, r *http.Request) error {
	return alwaysProfiled(w, r)
}

// alwaysProfiled answers for profiles that Go always takes, at a rate that costs nothing.
func alwaysProfiled(w http.ResponseWriter, r *http.Request) error {
	switch r.URL.Query().Get("enable") {
	case "y":
		return confirm(w)
	case "n":
		return &pageError{http.StatusNotImplemented, "the heap is always profiled: see /heap_dump and " + pprofPath + "\n"}
	default:
		return badRequest("?enable=<y|n>\n")
	}
}

// cpuProfile is the profile in progress: the process has one at most.
type cpuProfile struct {
	mu   sync.Mutex
	file *os.File
}

// cpuProfiler starts and ends a profile into the bootstrap's profile_path.
func (s *Server) cpuProfiler(w http.ResponseWriter, r *http.Request) error {
	p := &s.profile
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Query().Get("enable") {
	case "y":
		if p.file != nil {
			return confirm(w)
		}
		file, err := os.Create(s.config.ProfilePath)
		if err == nil {
			if err = pprof.StartCPUProfile(file); err != nil {
				file.Close()
			}
		}
		if err != nil {
			return &pageError{http.StatusInternalServerError, "failure to start the profiler"}
		}
		p.file = file
	case "n":
		if p.file != nil {
			pprof.StopCPUProfile()
			err := p.file.Close()
			p.file = nil
			if err != nil {
				return err
			}
		}
	default:
		return badRequest("?enable=<y|n>\n")
	}
	return confirm(w)
}
