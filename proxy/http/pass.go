package http

import "github.com/weirproxy/weir/proxy/network"

// PassRequestBody is embedded by filters that look at a request's head only.
type PassRequestBody struct{}

// DecodeData implements DecoderFilter.
func (PassRequestBody) DecodeData(*network.Buffer, bool) DataStatus { return DataContinue }

// DecodeTrailers implements DecoderFilter.
func (PassRequestBody) DecodeTrailers(*HeaderMap) TrailersStatus { return TrailersContinue }

// PassResponseBody is embedded by filters that look at a response's head only.
type PassResponseBody struct{}

// EncodeData implements EncoderFilter.
func (PassResponseBody) EncodeData(*network.Buffer, bool) DataStatus { return DataContinue }

// EncodeTrailers implements EncoderFilter.
func (PassResponseBody) EncodeTrailers(*HeaderMap) TrailersStatus { return TrailersContinue }
