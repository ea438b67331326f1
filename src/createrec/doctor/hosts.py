"""Whether an address answers, without a download."""

TIMEOUT_SECONDS = 5


def reachable(address: str) -> str:
    """In words for a report; the size is what the server tells of the file."""
    import requests  # not for those who look at their own machine alone

    try:
        response = requests.head(address, timeout=TIMEOUT_SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        return f"cannot be reached ({type(error).__name__})"
    length = response.headers.get("Content-Length", "") if response.ok else ""
    return f"answers ({response.status_code}{f', {int(length):,} bytes' if length.isdecimal() else ''})"
