package jwtauthn

// status is why a token is refused; "" when it is not. The texts are the
// bodies that clients get.
type status string

const (
	ok                 status = ""
	missing            status = "Jwt is missing"
	notYetValid        status = "Jwt not yet valid"
	expired            status = "Jwt is expired"
	badFormat          status = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
	headerBase64       status = "Jwt header is an invalid Base64url encoded"
	headerJSON         status = "Jwt header is an invalid JSON"
	headerAlg          status = "Jwt header [alg] field is required and must be a string"
	headerAlgUnknown   status = "Jwt header [alg] is not supported"
	headerKid          status = "Jwt header [kid] field is not a string"
	payloadBase64      status = "Jwt payload is an invalid Base64url encoded"
	payloadJSON        status = "Jwt payload is an invalid JSON"
	payloadIss         status = "Jwt payload [iss] field is not a string"
	payloadSub         status = "Jwt payload [sub] field is not a string"
	payloadJti         status = "Jwt payload [jti] field is not a string"
	payloadIat         status = "Jwt payload [iat] field is not an integer"
	payloadNbf         status = "Jwt payload [nbf] field is not an integer"
	payloadExp         status = "Jwt payload [exp] field is not an integer"
	payloadIatRange    status = "Jwt payload [iat] field is not a positive 64 bit integer"
	payloadNbfRange    status = "Jwt payload [nbf] field is not a positive 64 bit integer"
	payloadExpRange    status = "Jwt payload [exp] field is not a positive 64 bit integer"
	payloadAud         status = "Jwt payload [aud] field is not a string or string list"
	signatureBase64    status = "Jwt signature is an invalid Base64url encoded"
	unknownIssuer      status = "Jwt issuer is not configured"
	audienceNotAllowed status = "Audiences in Jwt are not allowed"
	verificationFails  status = "Jwt verification fails"
	noKeys             status = "Jwks doesn't have any valid public key"
	noMatchingKey      status = "Jwks doesn't have key to match kid or alg from Jwt"
	fetchFails         status = "Jwks remote fetch is failed"
)

// codes are the numbers that Envoy's JWT library has for what a provider's
// failed_status_in_metadata may tell.
var codes = map[status]float64{
	missing: 1, notYetValid: 2, expired: 3, badFormat: 4, headerBase64: 5, headerJSON: 6, headerAlg: 7, headerAlgUnknown: 8, headerKid: 9,
	payloadBase64: 10, payloadJSON: 11, payloadIss: 12, payloadSub: 13, payloadIat: 14, payloadIatRange: 15, payloadNbf: 16, payloadNbfRange: 17,
	payloadExp: 18, payloadExpRange: 19, payloadJti: 20, payloadAud: 21, signatureBase64: 22, unknownIssuer: 24, audienceNotAllowed: 25,
	verificationFails: 26, noMatchingKey: 32, fetchFails: 40,
}
