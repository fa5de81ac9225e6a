-- Sends each CR or DX series to the service once it is stable. Series that the service wrote (SR, or a capture of a
-- report, or a synthetic radiograph) are left alone; it would not read them either.
local MANUFACTURER = "LLM-CXR server"
local WANTED = { CR = true, DX = true }

function OnStableSeries(seriesId, tags, metadata)
  if WANTED[tags["Modality"]] and tags["Manufacturer"] ~= MANUFACTURER then
    SendToModality(seriesId, "cxr")
  end
end
