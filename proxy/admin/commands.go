package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// command is a page: its path, what /help says and what serves it.
type command struct {
	path    string
	help    string
	mutates bool // needs POST
	params  []param
	serve   func(*Server, http.ResponseWriter, *http.Request) error
}

// param is a query parameter.
type param struct {
	name    string
	help    string
	choices []string // the values it takes, when they are few
}

// envoyCommands are Envoy's, in its order and its words: the body of a 404 is the
// same, byte for byte.
func envoyCommands() []command {
	yesOrNo := []string{"y", "n"}
	usedOnly := param{"usedonly", "Only include stats that have been written by system since restart", nil}
	filter := param{"filter", "Regular expression (Google re2) for filtering stats", nil}
	invert := param{"invert_filter", "Invert the filter regex", nil}
	return []command{
		{"/", "Admin home page", false, nil, (*Server).home},
		{"/allocprofiler", "enable/disable the allocation profiler (if supported)", true, []param{{"enable", "enable/disable the allocation profiler", yesOrNo}}, (*Server).allocProfiler},
		{"/certs", "print certs on machine", false, nil, (*Server).certs},
		{"/clusters", "upstream cluster status", false, []param{{"filter", "Regular expression (Google re2) for filtering clusters by name", nil}}, (*Server).clusters},
		{"/config_dump", "dump current Envoy configs", false, []param{
			{"resource", "The resource to dump", nil},
			{"mask", "The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a Protobuf::FieldMask", nil},
			{"name_regex", "Dump only the currently loaded configurations whose names match the specified regex. Can be used with both resource and mask query parameters.", nil},
			{"include_eds", "Dump currently loaded configuration including EDS. See the response definition for more information", nil},
		}, (*Server).configDump},
		{"/contention", "dump current Envoy mutex contention stats (if enabled)", false, nil, (*Server).contention},
		{"/cpuprofiler", "enable/disable the CPU profiler", true, []param{{"enable", "enables the CPU profiler", yesOrNo}}, (*Server).cpuProfiler},
		{"/drain_listeners", "drain listeners", true, []param{
			{"graceful", "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and duration is configurable via server options or CLI", nil},
			{"skip_exit", "When draining listeners, drain the connections but never stop the listeners. The graceful parameter has no effect when this is set, since the drain period only delays stopping the listeners", nil},
			{"inboundonly", "Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3.Listener is used to determine whether a listener is inbound or outbound.", nil},
		}, (*Server).drainListeners},
		{"/healthcheck/fail", "cause the server to fail health checks", true, nil, (*Server).failHealthCheck},
		{"/healthcheck/ok", "cause the server to pass health checks", true, nil, (*Server).passHealthCheck},
		{"/heap_dump", "dump current Envoy heap (if supported)", false, nil, (*Server).heapDump},
		{"/heapprofiler", "enable/disable the heap profiler", true, []param{{"enable", "enable/disable the heap profiler", yesOrNo}}, (*Server).heapProfiler},
		{"/help", "print out list of admin commands", false, nil, (*Server).help},
		{"/hot_restart_version", "print the hot restart compatibility version", false, nil, (*Server).hotRestartVersion},
		{"/init_dump", "dump current Envoy init manager information (experimental)", false, []param{
			{"mask", "The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask. For example, get the unready targets of all listeners with /init_dump?mask=listener`", nil},
		}, (*Server).initDump},
		{"/listeners", "print listener info", false, []param{{"format", "File format to use", []string{"text", "json"}}}, (*Server).listeners},
		{"/logging", "query/change logging levels", true, []param{
			{"paths", "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>. If fine grain logging is enabled, use __FILE__ or a glob experision as the logger name. For example, source/common*:warning", nil},
			{"group", "Change given logger group to desired level, set to <logger_group_name>:<desired_level>. logger_group_name must be a logger name.", nil},
			{"level", "desired logging level, this will change all loggers's level", append([]string{""}, levels...)},
		}, (*Server).logging},
		{"/memory", "print current allocation/heap usage", false, nil, (*Server).memory},
		{"/memory/tcmalloc", "print TCMalloc stats", false, nil, (*Server).memoryDetails},
		{"/peak_heap_dump", "dump peak Envoy heap (if supported)", false, nil, (*Server).peakHeapDump},
		{"/quitquitquit", "exit the server", true, nil, (*Server).quit},
		{"/ready", "print server state, return 200 if LIVE, otherwise return 503", false, nil, (*Server).ready},
		{"/reopen_logs", "reopen access logs", true, nil, (*Server).reopenLogs},
		{"/reset_counters", "reset all counters to zero", true, nil, (*Server).resetCounters},
		{"/runtime", "print runtime values", false, nil, (*Server).runtime},
		{"/runtime_modify", "Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an empty string as the value. Note that deletion only applies to overrides added via this endpoint; values loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...", true, nil, (*Server).runtimeModify},
		{"/server_info", "print server version/status information", false, nil, (*Server).serverInfo},
		{"/stats", "print server stats", false, []param{
			usedOnly, filter, invert,
			{"format", "Format to use", []string{"html", "active-html", "text", "json"}},
			{"type", "Stat types to include.", []string{"All", "Counters", "Histograms", "Gauges", "TextReadouts"}},
			{"histogram_buckets", "Histogram bucket display mode", []string{"cumulative", "disjoint", "detailed", "summary"}},
		}, (*Server).stats},
		{"/stats/prometheus", "print server stats in prometheus format", false, []param{
			usedOnly,
			{"text_readouts", "Render text_readouts as new gaugues with value 0 (increases Prometheus data size)", nil},
			filter, invert,
			{"histogram_buckets", "Histogram bucket display mode", []string{"cumulative", "summary"}},
		}, (*Server).prometheus},
		{"/stats/recentlookups", "Show recent stat-name lookups", false, nil, (*Server).recentLookups},
		{"/stats/recentlookups/clear", "clear list of stat-name lookups and counter", true, nil, (*Server).clearLookups},
		{"/stats/recentlookups/disable", "disable recording of reset stat-name lookup names", true, nil, (*Server).disableLookups},
		{"/stats/recentlookups/enable", "enable recording of reset stat-name lookup names", true, nil, (*Server).enableLookups},
	}
}

// ownCommands are the pages that Envoy doesn't have; /help and the home page list them too.
func ownCommands() []command {
	return []command{
		{"/routes", "draw the route configurations: virtual hosts, routes, weighted clusters", false, []param{
			{"filter", "Regular expression (Google re2) for filtering route configurations by name", nil},
			{"format", "Format to use", []string{"text", "json"}},
		}, (*Server).routes},
		{pprofPath, "Go profiles: heap, goroutine, profile?seconds=N, trace?seconds=N and more, for go tool pprof", false, nil, (*Server).pprof},
	}
}

func writeHelp(w io.Writer, list []command) {
	fmt.Fprint(w, "admin commands are:\n")
	for _, c := range list {
		method := ""
		if c.mutates {
			method = " (POST)"
		}
		fmt.Fprintf(w, "  %s%s: %s\n", c.path, method, c.help)
		for _, p := range c.params {
			fmt.Fprintf(w, "      %s: %s", p.name, p.help)
			if p.choices != nil {
				fmt.Fprintf(w, "; One of (%s)", strings.Join(p.choices, ", "))
			}
			fmt.Fprintln(w)
		}
	}
}

func (s *Server) help(w http.ResponseWriter, _ *http.Request) error {
	writeHelp(w, s.list)
	return nil
}
