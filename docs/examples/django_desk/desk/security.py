"""What a browser may load and run on the pages: files of this site, and nothing in the pages themselves."""

POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


def content_security_policy(get_response):
    """Return a middleware that adds the header to every answer, those of the admin included."""

    def middleware(request):
        response = get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return middleware
