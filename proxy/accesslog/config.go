package accesslog

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/xds/protos"
)

// DefaultFormat is Envoy's.
const DefaultFormat = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
	`%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ` +
	`"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

// Options are what access logs need of the server.
type Options struct {
	Writers *Writers
	Regexes *matcher.Regexes
	// Clients and Loops are for loggers that send to collectors.
	Clients telemetry.Clients
	Loops   []*network.Loop
	Stats   *stats.Store
	// Runtime is the value of a runtime key; nil: always the default.
	Runtime fraction.Runtime
}

func (o *Options) runtime(key string, otherwise uint64) uint64 {
	return o.Runtime.Get(key, otherwise)
}

// Compile compiles the access logs of a listener, connection manager or TCP
// proxy and opens their files.
func Compile(path field.Path, list []*accesslogv3.AccessLog, o Options) ([]Logger, error) {
	var out []Logger
	for i, l := range list {
		logger, err := compileLogger(path.Index(i), l, o)
		if err != nil {
			return nil, err
		}
		out = append(out, logger)
	}
	return out, nil
}

func compileLogger(path field.Path, l *accesslogv3.AccessLog, o Options) (Logger, error) {
	if err := field.Only(path, l, "name", "filter", "typed_config"); err != nil {
		return nil, err
	}
	var filter Filter
	if l.GetFilter() != nil {
		var err error
		if filter, err = CompileFilter(path.Dot("filter"), l.GetFilter(), o); err != nil {
			return nil, err
		}
	}
	p := path.Dot("typed_config")
	if l.GetTypedConfig() == nil {
		return nil, p.Errorf("an access logger's configuration is required")
	}
	make := Types[protos.TypeName(l.GetTypedConfig())]
	if make == nil {
		return nil, p.Errorf("weir has no access logger %q (%s)", l.GetName(), l.GetTypedConfig().GetTypeUrl())
	}
	logger, err := make(p, l.GetTypedConfig(), &o)
	if err != nil || filter == nil {
		return logger, err
	}
	return filtered{filter, logger}, nil
}

// Types are the access loggers that weir has, by their configuration's message.
var Types = map[string]func(field.Path, *anypb.Any, *Options) (Logger, error){
	"envoy.extensions.access_loggers.file.v3.FileAccessLog":                          newFile,
	"envoy.extensions.access_loggers.stream.v3.StdoutAccessLog":                      newStdout,
	"envoy.extensions.access_loggers.stream.v3.StderrAccessLog":                      newStderr,
	"envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig":                newHTTPGRPC,
	"envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig":                 newTCPGRPC,
	"envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig": newOTel,
}

func newFile(p field.Path, config *anypb.Any, o *Options) (Logger, error) {
	m, err := protos.UnpackAs[*filev3.FileAccessLog](p, config)
	if err != nil {
		return nil, err
	}
	format, err := fileFormat(p, m)
	if err != nil {
		return nil, err
	}
	return o.open(p.Dot("path"), m.GetPath(), format)
}

func newStdout(p field.Path, config *anypb.Any, o *Options) (Logger, error) {
	m, err := protos.UnpackAs[*streamv3.StdoutAccessLog](p, config)
	if err != nil {
		return nil, err
	}
	format, err := streamFormat(p, m, m.GetLogFormat())
	if err != nil {
		return nil, err
	}
	return o.open(p, "/dev/stdout", format)
}

func newStderr(p field.Path, config *anypb.Any, o *Options) (Logger, error) {
	m, err := protos.UnpackAs[*streamv3.StderrAccessLog](p, config)
	if err != nil {
		return nil, err
	}
	format, err := streamFormat(p, m, m.GetLogFormat())
	if err != nil {
		return nil, err
	}
	return o.open(p, "/dev/stderr", format)
}

func (o *Options) open(p field.Path, name string, format *formatter.Formatter) (Logger, error) {
	if name == "" {
		return nil, p.Errorf("a path is required")
	}
	file, err := o.Writers.Open(name)
	if err != nil {
		return nil, p.Wrap(err)
	}
	return &fileLogger{format, file}, nil
}

func fileFormat(path field.Path, m *filev3.FileAccessLog) (*formatter.Formatter, error) {
	if err := field.Only(path, m, "path", "format", "json_format", "typed_json_format", "log_format"); err != nil {
		return nil, err
	}
	switch f := m.GetAccessLogFormat().(type) {
	case *filev3.FileAccessLog_LogFormat:
		return formatter.CompileFormatString(path.Dot("log_format"), f.LogFormat)
	// The older forms. Envoy 1.40 makes no difference between the JSON ones.
	case *filev3.FileAccessLog_Format:
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		if f.Format != "" {
			//lint:ignore SA1019 deprecated, but Envoy obeys it
			return formatter.Compile(path.Dot("format"), f.Format)
		}
	case *filev3.FileAccessLog_JsonFormat:
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		return formatter.CompileJSON(path.Dot("json_format"), f.JsonFormat, formatter.Options{})
	case *filev3.FileAccessLog_TypedJsonFormat:
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		return formatter.CompileJSON(path.Dot("typed_json_format"), f.TypedJsonFormat, formatter.Options{})
	}
	return formatter.Compile(path, DefaultFormat)
}

func streamFormat(path field.Path, m proto.Message, format *corev3.SubstitutionFormatString) (*formatter.Formatter, error) {
	if err := field.Only(path, m, "log_format"); err != nil {
		return nil, err
	}
	if format == nil {
		return formatter.Compile(path, DefaultFormat)
	}
	return formatter.CompileFormatString(path.Dot("log_format"), format)
}

// ExtensionFilters are the filter extensions that weir has.
var ExtensionFilters = map[string]bool{celFilter: true}
