package accesslog

import (
	"cmp"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// common is the part of a log entry that HTTP and TCP share.
func (l *grpcLogger) common(c *formatter.Context) *datav3.AccessLogCommon {
	i := c.Info
	since := func(at time.Duration) *durationpb.Duration {
		if at == 0 {
			return nil
		}
		return durationpb.New(at - i.Begin)
	}
	out := &datav3.AccessLogCommon{
		DownstreamRemoteAddress:       address(i.DownstreamRemote),
		DownstreamLocalAddress:        address(i.DownstreamLocal),
		DownstreamDirectRemoteAddress: address(i.DownstreamDirectRemote),
		TlsProperties:                 tlsProperties(i),
		StartTime:                     timestamppb.New(i.Start),
		TimeToLastRxByte:              since(i.LastDownstreamRxByte),
		TimeToFirstUpstreamTxByte:     since(i.FirstUpstreamTxByte),
		TimeToLastUpstreamTxByte:      since(i.LastUpstreamTxByte),
		TimeToFirstUpstreamRxByte:     since(i.FirstUpstreamRxByte),
		TimeToLastUpstreamRxByte:      since(i.LastUpstreamRxByte),
		TimeToFirstDownstreamTxByte:   since(i.FirstDownstreamTxByte),
		TimeToLastDownstreamTxByte:    since(i.LastDownstreamTxByte),
		Duration:                      durationpb.New(i.Duration(c.Now)),

		UpstreamRemoteAddress:          address(i.UpstreamHost),
		UpstreamLocalAddress:           address(i.UpstreamLocal),
		UpstreamTransportFailureReason: strings.Clone(i.UpstreamFailure),
		UpstreamRequestAttemptCount:    uint32(max(i.AttemptCount, 0)),
		ResponseFlags:                  responseFlagsOf(i.Flags),
		Metadata:                       metadataOf(i.Metadata),
		RouteName:                      i.RouteName,
		FilterStateObjects:             l.filterState(i),
		CustomTags:                     l.tagsOf(c),

		ConnectionTerminationDetails:     strings.Clone(i.TerminationDetails),
		StreamId:                         strings.Clone(i.RequestID),
		DownstreamTransportFailureReason: strings.Clone(i.DownstreamFailure),
		DownstreamWireBytesSent:          i.WireBytesSent,
		DownstreamWireBytesReceived:      i.WireBytesReceived,
		UpstreamWireBytesSent:            i.UpstreamBytesSent,
		UpstreamWireBytesReceived:        i.UpstreamBytesReceived,
		AccessLogType:                    datav3.AccessLogType(i.LogType),
	}
	switch i.LogType {
	case streaminfo.LogDownstreamStart, streaminfo.LogDownstreamPeriodic, streaminfo.LogTCPPeriodic, streaminfo.LogTCPUpstreamConnected:
		//lint:ignore SA1019 deprecated, but Envoy sets it
		out.IntermediateLogEntry = true
	}
	if i.UpstreamHost.IsSet() { // no try, no cluster, unlike in formats
		out.UpstreamCluster = cmp.Or(i.ClusterStatName, i.Cluster)
	}
	return out
}

func address(a network.Address) *corev3.Address {
	switch {
	case a.IsPipe():
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: a.Path}}}
	case a.IsSet():
		return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: a.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())}}}}
	}
	return nil
}

// responseFlagsOf is nil without any flag.
func responseFlagsOf(f streaminfo.Flags) *datav3.ResponseFlags {
	if f == 0 {
		return nil
	}
	has := func(flag streaminfo.Flags) bool { return f&flag != 0 }
	out := &datav3.ResponseFlags{
		FailedLocalHealthcheck: has(streaminfo.FailedLocalHealthCheck), NoHealthyUpstream: has(streaminfo.NoHealthyUpstream),
		UpstreamRequestTimeout: has(streaminfo.UpstreamRequestTimeout), LocalReset: has(streaminfo.LocalReset),
		UpstreamRemoteReset: has(streaminfo.UpstreamRemoteReset), UpstreamConnectionFailure: has(streaminfo.UpstreamConnectionFailure),
		UpstreamConnectionTermination: has(streaminfo.UpstreamConnectionTermination), UpstreamOverflow: has(streaminfo.UpstreamOverflow),
		NoRouteFound: has(streaminfo.NoRouteFound), DelayInjected: has(streaminfo.DelayInjected), FaultInjected: has(streaminfo.FaultInjected),
		RateLimited: has(streaminfo.RateLimited), RateLimitServiceError: has(streaminfo.RateLimitServiceError),
		DownstreamConnectionTermination: has(streaminfo.DownstreamConnectionTermination),
		UpstreamRetryLimitExceeded:      has(streaminfo.UpstreamRetryLimitExceeded), StreamIdleTimeout: has(streaminfo.StreamIdleTimeout),
		InvalidEnvoyRequestHeaders: has(streaminfo.InvalidEnvoyRequestHeaders), DownstreamProtocolError: has(streaminfo.DownstreamProtocolError),
		UpstreamMaxStreamDurationReached: has(streaminfo.UpstreamMaxStreamDurationReached),
		ResponseFromCacheFilter:          has(streaminfo.ResponseFromCacheFilter), NoFilterConfigFound: has(streaminfo.NoFilterConfigFound),
		DurationTimeout: has(streaminfo.DurationTimeout), UpstreamProtocolError: has(streaminfo.UpstreamProtocolError),
		NoClusterFound: has(streaminfo.NoClusterFound), OverloadManager: has(streaminfo.OverloadManager),
		DnsResolutionFailure: has(streaminfo.DnsResolutionFailed), DownstreamRemoteReset: has(streaminfo.DownstreamRemoteReset),
	}
	if has(streaminfo.UnauthorizedExternalService) {
		out.UnauthorizedDetails = &datav3.ResponseFlags_Unauthorized{Reason: datav3.ResponseFlags_Unauthorized_EXTERNAL_SERVICE}
	}
	return out
}

func metadataOf(m map[string]map[string]any) *corev3.Metadata {
	if len(m) == 0 {
		return nil
	}
	out := &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	for namespace, values := range m {
		if s, err := structpb.NewStruct(values); err == nil {
			out.FilterMetadata[namespace] = s
		}
	}
	return out
}

func (l *grpcLogger) filterState(i *streaminfo.Info) map[string]*anypb.Any {
	out := map[string]*anypb.Any{}
	for _, name := range l.stateNames {
		text := ""
		switch v := i.FilterState[name].(type) {
		case string:
			text = v
		case streaminfo.FilterStateObject:
			text = v.String()
		default:
			continue
		}
		if a, err := anypb.New(wrapperspb.String(strings.Clone(text))); err == nil {
			out[name] = a
		}
	}
	return out
}

func (l *grpcLogger) tagsOf(c *formatter.Context) map[string]string {
	if len(l.tags) == 0 {
		return nil
	}
	out := map[string]string{}
	l.tags.Each(c, func(name, value string) { out[name] = strings.Clone(value) })
	return out
}

func tlsProperties(i *streaminfo.Info) *datav3.TLSProperties {
	t := i.DownstreamTLS()
	if t == nil {
		return nil
	}
	out := &datav3.TLSProperties{
		TlsSniHostname:             i.RequestedServerName,
		LocalCertificateProperties: certificate("", t.URISANsLocal()),
		PeerCertificateProperties:  certificate(t.SubjectPeer(), t.URISANsPeer()),
		Ja3Fingerprint:             i.JA3,
	}
	switch t.Version() {
	case "TLSv1":
		out.TlsVersion = datav3.TLSProperties_TLSv1
	case "TLSv1.1":
		out.TlsVersion = datav3.TLSProperties_TLSv1_1
	case "TLSv1.2":
		out.TlsVersion = datav3.TLSProperties_TLSv1_2
	case "TLSv1.3":
		out.TlsVersion = datav3.TLSProperties_TLSv1_3
	}
	if s, ok := t.(formatter.TLSSession); ok {
		out.TlsSessionId = s.SessionID()
		if c := s.LocalCertificate(); c != nil {
			out.LocalCertificateProperties.Subject = x509name.String(c.RawSubject)
		}
		if all := s.PeerCertificates(); len(all) > 0 {
			out.PeerCertificateProperties.Issuer = x509name.String(all[0].RawIssuer)
		}
	}
	if s, ok := t.(interface{ CipherSuiteID() uint16 }); ok {
		out.TlsCipherSuite = wrapperspb.UInt32(uint32(s.CipherSuiteID()))
	}
	return out
}

// certificate tells of a certificate what Envoy does: of its names the URIs.
func certificate(subject string, uris []string) *datav3.TLSProperties_CertificateProperties {
	out := &datav3.TLSProperties_CertificateProperties{Subject: subject}
	for _, u := range uris {
		out.SubjectAltName = append(out.SubjectAltName, &datav3.TLSProperties_CertificateProperties_SubjectAltName{
			San: &datav3.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: u}})
	}
	return out
}
