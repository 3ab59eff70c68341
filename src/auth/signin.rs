//! One POST of a form, one JSON answer: all grants of Entra's token endpoint.
