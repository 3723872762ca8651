"""KServe's own scikit-learn server, in which a bad request is the client's fault.

KServe v0.20.0 answers 500 to rows of the wrong length or without numbers, and 422 to a v2 body that is none. A client's
mistake would then burn the model's error budget and abort a canary. Here both are a 400; all else is KServe's.
"""

import argparse
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve import ModelServer, logging, model_server
from kserve.errors import InferenceError, InvalidInput
from kserve.protocol.infer_type import InferRequest, InferResponse
from kserve.utils.utils import get_predict_input
from sklearn.utils import check_array
from sklearnserver import SKLearnModel

UNUSABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, InvalidInput)
"""What KServe's decoding, numpy and scikit-learn raise for input that is no table of numbers."""


class Model(SKLearnModel):  # type: ignore[misc] # its class is only in the image
    """KServe's model. Where it fails, the input tells whose fault it was: a failure on good input stays a 500."""

    def predict(
        self, payload: dict[str, Any] | InferRequest, headers: dict[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        """Predict, or raise `InvalidInput`, which the server answers with 400."""
        try:
            return super().predict(payload, headers)
        except InferenceError as error:
            if fault := self._fault(payload):
                raise InvalidInput(fault) from error
            raise

    def _fault(self, payload: dict[str, Any] | InferRequest) -> str:
        """Return what is wrong with an input; nothing where it is a table as the model wants it."""
        if not isinstance(payload, dict | InferRequest) or (
            isinstance(payload, dict) and not {"instances", "inputs"} & payload.keys()
        ):
            return 'Expected an object with a list "instances"'
        try:
            columns = check_array(get_predict_input(payload)).shape[1]
        except UNUSABLE as error:
            return str(error)
        wanted = getattr(self._model, "n_features_in_", columns)
        return "" if columns == wanted else f"Expected rows of {wanted} numbers, not of {columns}"


async def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a v2 body of another form with 400."""
    reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return JSONResponse({"error": reasons}, HTTPStatus.BAD_REQUEST)


def main() -> None:
    """Serve one model, as KServe's ClusterServingRuntime asks for it."""
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--model_dir", required=True, help="folder with the model's file")
    args, _ = parser.parse_known_args()
    if args.configure_logging:
        logging.configure_logging(args.log_config_file)
    model = Model(args.model_name, args.model_dir)
    model.load()
    model_server.app.add_exception_handler(RequestValidationError, unreadable)
    ModelServer().start([model])


if __name__ == "__main__":
    main()
