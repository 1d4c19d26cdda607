package formatter

// Commands are operators by name.
type Commands map[string]command

type params uint8

const (
	noParam params = iota
	mayParam
	needsParam
)

// command tells how an operator may be written and makes it.
type command struct {
	params params
	length bool
	make   func(param string) (operator, error)
}

// plain is a command without parameter.
func plain(op operator) command {
	return command{make: func(string) (operator, error) { return op, nil }}
}

// refused are operators that Envoy has and weir does not.
var refused = map[string]string{
	"FILE_CONTENT":                   "weir does not support the file_content formatter",
	"SECRET":                         "weir does not support the generic_secret formatter",
	"DYNAMIC_MODULE":                 "weir does not support dynamic modules",
	"DOWNSTREAM_CX_RTT":              "weir does not measure the connection's round-trip time",
	"DOWNSTREAM_LOCAL_OTHERNAME_SAN": "weir does not read otherName SANs",
	"DOWNSTREAM_PEER_OTHERNAME_SAN":  "weir does not read otherName SANs",
	"ROUTE_RESOLUTION_COUNT":         "weir does not count route look-ups",
	"ROUTE_RESOLUTION_TIME_US":       "weir does not time route look-ups",
}

// commands is every operator of Envoy 1.40 that weir has.
var commands = Commands{
	"REQ":              header(requestHeaders),
	"REQUEST_HEADER":   header(requestHeaders),
	"STREAM_INFO_REQ":  header(requestHeaders),
	"RESP":             header(responseHeaders),
	"RESPONSE_HEADER":  header(responseHeaders),
	"TRAILER":          header(responseTrailers),
	"RESPONSE_TRAILER": header(responseTrailers),

	"CEL":                     {params: needsParam, length: true, make: celOperator(false)},
	"TYPED_CEL":               {params: needsParam, length: true, make: celOperator(true)},
	"REQUEST_HEADERS_BYTES":   headersBytes(requestHeaders),
	"RESPONSE_HEADERS_BYTES":  headersBytes(responseHeaders),
	"RESPONSE_TRAILERS_BYTES": headersBytes(responseTrailers),
	"PATH":                    {params: mayParam, length: true, make: compilePath},
	"QUERY_PARAM":             {params: needsParam, length: true, make: compileQueryParam},
	"QUERY_PARAMS":            {params: mayParam, length: true, make: compileQueryParams},
	"GRPC_STATUS":             {params: mayParam, make: compileGRPCStatus},
	"GRPC_STATUS_NUMBER":      plain(appendGRPCStatusNumber),

	"START_TIME":       {params: mayParam, make: timeOperator(startTime, false)},
	"START_TIME_LOCAL": {params: mayParam, make: timeOperator(startTime, true)},
	"EMIT_TIME":        {params: mayParam, make: timeOperator(emitTime, false)},
	"EMIT_TIME_LOCAL":  {params: mayParam, make: timeOperator(emitTime, true)},

	"DURATION":                                plain(appendDuration),
	"REQUEST_DURATION":                        sinceBegin(lastDownstreamRx),
	"REQUEST_TX_DURATION":                     sinceBegin(lastUpstreamTx),
	"RESPONSE_DURATION":                       sinceBegin(firstUpstreamRx),
	"RESPONSE_TX_DURATION":                    between(firstUpstreamRx, lastDownstreamTx),
	"DOWNSTREAM_HANDSHAKE_DURATION":           sinceBegin(downstreamHandshake),
	"ROUNDTRIP_DURATION":                      sinceBegin(lastDownstreamAck),
	"UPSTREAM_CONNECTION_POOL_READY_DURATION": between(poolAsked, poolReady),
	"COMMON_DURATION":                         {params: needsParam, make: compileCommonDuration},

	"BYTES_RECEIVED":                                number(func(c *Context) uint64 { return c.Info.BytesReceived }),
	"BYTES_SENT":                                    number(func(c *Context) uint64 { return c.Info.BytesSent }),
	"DOWNSTREAM_WIRE_BYTES_RECEIVED":                number(func(c *Context) uint64 { return c.Info.WireBytesReceived }),
	"DOWNSTREAM_WIRE_BYTES_SENT":                    number(func(c *Context) uint64 { return c.Info.WireBytesSent }),
	"DOWNSTREAM_HEADER_BYTES_RECEIVED":              number(func(c *Context) uint64 { return c.Info.HeaderBytesReceived }),
	"DOWNSTREAM_HEADER_BYTES_SENT":                  number(func(c *Context) uint64 { return c.Info.HeaderBytesSent }),
	"UPSTREAM_WIRE_BYTES_RECEIVED":                  number(func(c *Context) uint64 { return c.Info.UpstreamBytesReceived }),
	"UPSTREAM_WIRE_BYTES_SENT":                      number(func(c *Context) uint64 { return c.Info.UpstreamBytesSent }),
	"UPSTREAM_HEADER_BYTES_RECEIVED":                number(func(c *Context) uint64 { return c.Info.UpstreamHeaderReceived }),
	"UPSTREAM_HEADER_BYTES_SENT":                    number(func(c *Context) uint64 { return c.Info.UpstreamHeaderSent }),
	"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED": number(func(c *Context) uint64 { return c.Info.DecompressedHeaderReceived }),
	"DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT":     number(func(c *Context) uint64 { return c.Info.DecompressedHeaderSent }),
	"UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED":   number(func(c *Context) uint64 { return c.Info.UpstreamDecompressedHeaderReceived }),
	"UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT":       number(func(c *Context) uint64 { return c.Info.UpstreamDecompressedHeaderSent }),
	"BYTES_RETRANSMITTED":                           number(zero), // HTTP/3 only
	"PACKETS_RETRANSMITTED":                         number(zero),
	"RESPONSE_CODE":                                 number(func(c *Context) uint64 { return uint64(max(0, c.Info.ResponseCode)) }),
	"UPSTREAM_REQUEST_ATTEMPT_COUNT":                number(func(c *Context) uint64 { return uint64(max(0, c.Info.AttemptCount)) }),
	"UPSTREAM_CONNECTION_ID":                        number(func(c *Context) uint64 { return c.Info.UpstreamConnID }),
	"CONNECTION_ID":                                 number(connectionID),

	"PROTOCOL":                       str(func(c *Context) string { return c.Info.Protocol }),
	"UPSTREAM_PROTOCOL":              str(func(c *Context) string { return c.Info.UpstreamProtocol }),
	"RESPONSE_CODE_DETAILS":          {params: mayParam, make: compileResponseCodeDetails},
	"CONNECTION_TERMINATION_DETAILS": str(func(c *Context) string { return c.Info.TerminationDetails }),
	"RESPONSE_FLAGS":                 plain(appendFlags),
	"RESPONSE_FLAGS_LONG":            plain(appendFlagsLong),
	"CUSTOM_FLAGS":                   plain(appendCustomFlags),
	"ROUTE_NAME":                     str(func(c *Context) string { return c.Info.RouteName }),
	"VIRTUAL_CLUSTER_NAME":           str(func(c *Context) string { return c.Info.VirtualCluster }),
	"FILTER_CHAIN_NAME":              str(func(c *Context) string { return c.Info.FilterChain }),
	"LISTENER_NAME":                  str(func(c *Context) string { return c.Info.Listener }),
	"STREAM_ID":                      str(func(c *Context) string { return c.Info.RequestID }),
	"TRACE_ID":                       str(func(c *Context) string { return c.Info.TraceID }),
	"SPAN_ID":                        str(func(c *Context) string { return c.Info.SpanID }),
	"UNIQUE_ID":                      plain(appendUniqueID),
	"LOCAL_REPLY_BODY":               plain(appendLocalReplyBody),
	"ACCESS_LOG_TYPE":                plain(appendAccessLogType),
	"HOSTNAME":                       {make: compileHostname},
	"ENVIRONMENT":                    {params: needsParam, length: true, make: compileEnvironment},
	"COALESCE":                       {params: needsParam, length: true},

	"DOWNSTREAM_REMOTE_ADDRESS":                     address(downstreamRemote),
	"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":        addressWithoutPort(downstreamRemote),
	"DOWNSTREAM_REMOTE_PORT":                        port(downstreamRemote),
	"DOWNSTREAM_DIRECT_REMOTE_ADDRESS":              address(downstreamDirectRemote),
	"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": addressWithoutPort(downstreamDirectRemote),
	"DOWNSTREAM_DIRECT_REMOTE_PORT":                 port(downstreamDirectRemote),
	"DOWNSTREAM_LOCAL_ADDRESS":                      address(downstreamLocal),
	"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":         addressWithoutPort(downstreamLocal),
	"DOWNSTREAM_LOCAL_PORT":                         port(downstreamLocal),
	"DOWNSTREAM_DIRECT_LOCAL_ADDRESS":               address(downstreamDirectLocal),
	"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT":  addressWithoutPort(downstreamDirectLocal),
	"DOWNSTREAM_DIRECT_LOCAL_PORT":                  port(downstreamDirectLocal),
	"DOWNSTREAM_TRANSPORT_FAILURE_REASON":           underscored(func(c *Context) string { return c.Info.DownstreamFailure }),
	"DOWNSTREAM_LOCAL_CLOSE_REASON":                 str(func(c *Context) string { return c.Info.DownstreamLocalClose }),
	"DOWNSTREAM_DETECTED_CLOSE_TYPE":                str(downstreamCloseType),
	"DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID":          plain(empty), // of internal listeners
	"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID":   plain(empty),
	"TLS_JA3_FINGERPRINT":                           str(func(c *Context) string { return c.Info.JA3 }),
	"TLS_JA4_FINGERPRINT":                           str(func(c *Context) string { return c.Info.JA4 }),
	"REQUESTED_SERVER_NAME":                         {params: mayParam, make: compileRequestedServerName},

	"UPSTREAM_HOST":                              address(upstreamHost),
	"UPSTREAM_HOST_NAME":                         plain(appendUpstreamHostname),
	"UPSTREAM_HOST_NAME_WITHOUT_PORT":            plain(appendUpstreamHostnameWithoutPort),
	"UPSTREAM_HOSTS_ATTEMPTED":                   plain(appendHostsAttempted),
	"UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT":      plain(appendHostsAttemptedWithoutPort),
	"UPSTREAM_HOST_NAMES_ATTEMPTED":              plain(appendHostnamesAttempted),
	"UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT": plain(appendHostnamesAttemptedWithoutPort),
	"UPSTREAM_CONNECTION_IDS_ATTEMPTED":          plain(appendConnectionIDsAttempted),
	"UPSTREAM_CLUSTER":                           plain(appendUpstreamCluster),
	"UPSTREAM_CLUSTER_RAW":                       str(func(c *Context) string { return c.Info.Cluster }),
	"UPSTREAM_LOCAL_ADDRESS":                     address(upstreamLocal),
	"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":        addressWithoutPort(upstreamLocal),
	"UPSTREAM_LOCAL_PORT":                        port(upstreamLocal),
	"UPSTREAM_REMOTE_ADDRESS":                    address(upstreamRemote),
	"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":       addressWithoutPort(upstreamRemote),
	"UPSTREAM_REMOTE_PORT":                       port(upstreamRemote),
	"UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID":        plain(empty),
	"UPSTREAM_SERVER_NAME":                       str(func(c *Context) string { return c.Info.UpstreamServerName }),
	"UPSTREAM_TRANSPORT_FAILURE_REASON":          underscored(func(c *Context) string { return c.Info.UpstreamFailure }),
	"UPSTREAM_LOCAL_CLOSE_REASON":                str(func(c *Context) string { return c.Info.UpstreamLocalClose }),
	"UPSTREAM_DETECTED_CLOSE_TYPE":               str(upstreamCloseType),

	"DYNAMIC_METADATA":      {params: needsParam, length: true, make: metadataOperator(dynamicMetadata)},
	"CLUSTER_METADATA":      {params: needsParam, make: metadataOperator(clusterMetadata)},
	"UPSTREAM_METADATA":     {params: needsParam, make: metadataOperator(upstreamMetadata)},
	"METADATA":              {params: needsParam, length: true, make: compileMetadata},
	"FILTER_STATE":          {params: needsParam, length: true, make: filterStateOperator(filterState)},
	"UPSTREAM_FILTER_STATE": {params: needsParam, length: true, make: filterStateOperator(upstreamFilterState)},

	"DOWNSTREAM_TLS_VERSION":                 tlsString(downstreamTLS, tlsVersion),
	"DOWNSTREAM_TLS_CIPHER":                  tlsString(downstreamTLS, tlsCipher),
	"DOWNSTREAM_TLS_GROUP":                   tlsString(downstreamTLS, tlsGroup),
	"DOWNSTREAM_TLS_SESSION_ID":              tlsString(downstreamTLS, tlsSessionID),
	"DOWNSTREAM_LOCAL_SUBJECT":               localCert(downstreamTLS, certSubject),
	"DOWNSTREAM_LOCAL_URI_SAN":               tlsString(downstreamTLS, tlsLocalURI),
	"DOWNSTREAM_LOCAL_DNS_SAN":               localCert(downstreamTLS, certDNS),
	"DOWNSTREAM_LOCAL_IP_SAN":                localCert(downstreamTLS, certIPs),
	"DOWNSTREAM_LOCAL_EMAIL_SAN":             localCert(downstreamTLS, certEmails),
	"DOWNSTREAM_LOCAL_OTHERNAME_SAN":         localCert(downstreamTLS, certOtherNames),
	"DOWNSTREAM_PEER_SUBJECT":                tlsString(downstreamTLS, tlsSubject),
	"DOWNSTREAM_PEER_ISSUER":                 peerCert(downstreamTLS, certIssuer),
	"DOWNSTREAM_PEER_URI_SAN":                tlsString(downstreamTLS, tlsPeerURI),
	"DOWNSTREAM_PEER_DNS_SAN":                tlsString(downstreamTLS, tlsPeerDNS),
	"DOWNSTREAM_PEER_IP_SAN":                 peerCert(downstreamTLS, certIPs),
	"DOWNSTREAM_PEER_EMAIL_SAN":              peerCert(downstreamTLS, certEmails),
	"DOWNSTREAM_PEER_OTHERNAME_SAN":          peerCert(downstreamTLS, certOtherNames),
	"DOWNSTREAM_PEER_FINGERPRINT_256":        tlsString(downstreamTLS, tlsSHA256),
	"DOWNSTREAM_PEER_FINGERPRINT_1":          peerCert(downstreamTLS, certSHA1),
	"DOWNSTREAM_PEER_SERIAL":                 peerCert(downstreamTLS, certSerial),
	"DOWNSTREAM_PEER_CERT":                   peerCert(downstreamTLS, URLEncodedPEM),
	"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256": peerChain(downstreamTLS, certSHA256),
	"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1":   peerChain(downstreamTLS, certSHA1),
	"DOWNSTREAM_PEER_CHAIN_SERIALS":          peerChain(downstreamTLS, certSerial),
	"DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256": peerIssuer(downstreamTLS, certSHA256),
	"DOWNSTREAM_PEER_ISSUER_SERIAL":          peerIssuer(downstreamTLS, certSerial),
	"DOWNSTREAM_PEER_CERT_V_START":           {params: mayParam, make: timeOperator(certNotBefore(downstreamTLS), false)},
	"DOWNSTREAM_PEER_CERT_V_END":             {params: mayParam, make: timeOperator(certNotAfter(downstreamTLS), false)},

	"UPSTREAM_TLS_VERSION":       tlsString(upstreamTLS, tlsVersion),
	"UPSTREAM_TLS_CIPHER":        tlsString(upstreamTLS, tlsCipher),
	"UPSTREAM_TLS_GROUP":         tlsString(upstreamTLS, tlsGroup),
	"UPSTREAM_TLS_SESSION_ID":    tlsString(upstreamTLS, tlsSessionID),
	"UPSTREAM_LOCAL_URI_SAN":     tlsString(upstreamTLS, tlsLocalURI),
	"UPSTREAM_LOCAL_DNS_SAN":     localCert(upstreamTLS, certDNS),
	"UPSTREAM_LOCAL_IP_SAN":      localCert(upstreamTLS, certIPs),
	"UPSTREAM_PEER_SUBJECT":      tlsString(upstreamTLS, tlsSubject),
	"UPSTREAM_PEER_ISSUER":       peerCert(upstreamTLS, certIssuer),
	"UPSTREAM_PEER_URI_SAN":      tlsString(upstreamTLS, tlsPeerURI),
	"UPSTREAM_PEER_DNS_SAN":      tlsString(upstreamTLS, tlsPeerDNS),
	"UPSTREAM_PEER_IP_SAN":       peerCert(upstreamTLS, certIPs),
	"UPSTREAM_PEER_CERT":         peerCert(upstreamTLS, URLEncodedPEM),
	"UPSTREAM_PEER_CERT_V_START": {params: mayParam, make: timeOperator(certNotBefore(upstreamTLS), false)},
	"UPSTREAM_PEER_CERT_V_END":   {params: mayParam, make: timeOperator(certNotAfter(upstreamTLS), false)},
}
