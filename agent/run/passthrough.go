package run

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// accessLogFD is the proxy's end of the pipe that its access log goes to.
const accessLogFD = 3

// passThrough is a bootstrap that connects each caught connection to where it
// was going. What comes to the port by itself has no such place: it is closed,
// or the proxy would connect to itself.
func passThrough(port uint16, ipv6 bool) string {
	outbound6 := ""
	if ipv6 {
		outbound6 = fmt.Sprintf(passThrough6, port)
	}
	return fmt.Sprintf(passThrough4, port, accessLogFD, outbound6)
}

const passThrough4 = `
static_resources:
  listeners:
  - name: outbound4
    address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}
    listener_filters: &listener_filters
    - name: envoy.filters.listener.original_dst
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst}
    filter_chains: &filter_chains
    - filter_chain_match: {destination_port: %[1]d}
      filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: itself
          cluster: nowhere
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: outbound
          cluster: original_dst
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: /dev/fd/%[2]d
              log_format:
                text_format_source:
                  inline_string: "%%DOWNSTREAM_LOCAL_ADDRESS%% %%BYTES_RECEIVED%% %%BYTES_SENT%% %%DURATION%% %%RESPONSE_FLAGS%%\n"
%[3]s  clusters:
  - name: original_dst
    type: ORIGINAL_DST
    lb_policy: CLUSTER_PROVIDED
    connect_timeout: 10s
  - name: nowhere
    type: STATIC
    connect_timeout: 1s
`

const passThrough6 = `  - name: outbound6
    address: {socket_address: {address: "::1", port_value: %d}}
    listener_filters: *listener_filters
    filter_chains: *filter_chains
`

// tell writes a line for each connection that the proxy logs.
func (p *proxy) tell(log io.ReadCloser) {
	defer close(p.logged)
	defer log.Close()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		fmt.Fprintln(p.stderr, "weir:", describe(lines.Text(), p.names.Load()))
	}
}

// describe words a line of the access log above.
func describe(line string, names *names) string {
	f := strings.Fields(line)
	if len(f) != 5 {
		return line
	}
	text := fmt.Sprintf("%s  %s sent, %s received, %s ms", names.of(f[0]), bytes(f[1]), bytes(f[2]), f[3])
	if reason, ok := flags[f[4]]; ok {
		return text + ": " + reason
	}
	if f[4] != "-" {
		return text + ": " + f[4]
	}
	return text
}

// flags are the response flags that a TCP connection may end with.
var flags = map[string]string{
	"UF":     "cannot connect",
	"UF,URX": "cannot connect",
	"UH":     "no such destination",
	"UC":     "the destination broke it off",
	"DC":     "the command broke it off",
}

func bytes(s string) string {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			return strconv.FormatFloat(n, 'g', 3, 64) + " " + unit
		}
		n /= 1000
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " GB"
}
